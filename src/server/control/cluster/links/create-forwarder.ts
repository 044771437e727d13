/** Forwards creates to the server that the machine's agent is connected to, which commits and dispatches them together with its own. */
import type { Execution } from '../../../../store/store.ts';
import {
  type CreateRequest,
  type CreateResult,
  type ExecutionCreator,
  newExecutionId,
} from '../../commands/create-request.ts';
import { type CreateAnswer, forwardedCreate } from './forwarded-create.ts';
import type { PeerLink } from './peer-link.ts';
import type { Peers } from './peers.ts';

/** Larger inputs go through the database. */
const MAX_STDIN_BYTES = 512 * 1024;
/** Creates that wait for an answer. More of them go through the database. */
const MAX_PENDING = 10_000;
/** Longer than a create takes in a slow database. */
const ANSWER_TIMEOUT_MS = 20_000;

export interface CreateForwarderDeps {
  /** Creates here. */
  creator: ExecutionCreator;
  sessions: { get(machineId: string): unknown };
  peers: Pick<Peers, 'holderOf'>;
  live: { remember(execution: Execution): void };
  now: () => number;
}

interface Pending {
  link: PeerLink;
  settle: (answer: CreateAnswer) => void;
}

/** Creates executions, wherever the machine's agent is connected. The answer of another server may be lost: then it creates again, once. */
export class CreateForwarder implements ExecutionCreator {
  readonly #deps: CreateForwarderDeps;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;

  constructor(deps: CreateForwarderDeps) {
    this.#deps = deps;
  }

  async create(request: CreateRequest): Promise<CreateResult> {
    const { creator, live, now } = this.#deps;
    const link = this.#linkFor(request);
    if (link === undefined) return creator.create(request);
    const executionId = newExecutionId(request, now());
    const answer = await this.#ask(link, executionId, request);
    if (answer.outcome === 'not_here' || answer.outcome === 'failed') {
      return creator.create(request, { executionId, mayExist: answer.outcome === 'failed' });
    }
    if (answer.outcome === 'created') live.remember(answer.execution);
    return answer;
  }

  answered(id: number, answer: CreateAnswer): void {
    this.#pending.get(id)?.settle(answer);
  }

  /** Its answers will not come. */
  closed(link: PeerLink): void {
    for (const { link: asked, settle } of [...this.#pending.values()])
      if (asked === link) settle({ outcome: 'failed' });
  }

  #linkFor({ machineId, stdin }: CreateRequest): PeerLink | undefined {
    const { sessions, peers } = this.#deps;
    if (this.#pending.size >= MAX_PENDING || sessions.get(machineId) !== undefined) return undefined;
    return stdin.mode === 'fixed' && stdin.bytes.length > MAX_STDIN_BYTES ? undefined : peers.holderOf(machineId);
  }

  #ask(link: PeerLink, executionId: string, request: CreateRequest): Promise<CreateAnswer> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve) => {
      const settle = (answer: CreateAnswer): void => {
        clearTimeout(timer);
        this.#pending.delete(id);
        resolve(answer);
      };
      const timer = setTimeout(() => settle({ outcome: 'failed' }), ANSWER_TIMEOUT_MS);
      this.#pending.set(id, { link, settle });
      if (!link.send({ type: 'create', id, create: forwardedCreate(executionId, request) })) {
        settle({ outcome: 'not_here' });
      }
    });
  }
}
