/** Creates that other servers have forwarded here, and the news of their executions for those servers. */
import { isTerminal } from '../../../../core/execution.ts';
import type { Execution } from '../../../../store/store.ts';
import type { ExecutionCreator } from '../../commands/create-request.ts';
import type { CommitListener } from '../../live/commit-notifier.ts';
import { type CreateAnswer, type ForwardedCreate, requestOf } from './forwarded-create.ts';
import type { PeerLink } from './peer-link.ts';

/** Executions whose news are sent. Those of older ones are found by hints. */
const MAX_FOLLOWED = 20_000;

interface Followed {
  link: PeerLink;
  status: Execution['status'] | undefined;
}

export interface ForwardedCreatesDeps {
  /** Creates here: a create is forwarded once. */
  creator: ExecutionCreator;
  sessions: { get(machineId: string): unknown };
}

/** Creates for other servers, and sends each the later states of its executions, so that it need not read them. */
export class ForwardedCreates implements CommitListener {
  readonly #deps: ForwardedCreatesDeps;
  readonly #followed = new Map<string, Followed>();

  constructor(deps: ForwardedCreatesDeps) {
    this.#deps = deps;
  }

  /** Creates, and answers. Never rejects. */
  async create(link: PeerLink, id: number, create: ForwardedCreate): Promise<void> {
    const { executionId } = create;
    this.#follow(executionId, link);
    const answer = await this.#create(create);
    if (answer.outcome !== 'created') this.#followed.delete(executionId);
    const sent = link.send({ type: 'created', id, answer });
    // Too long for a message: the other server finds the execution in the database.
    if (!sent) link.send({ type: 'created', id, answer: { outcome: 'failed' } });
  }

  committed(execution: Execution): void {
    const followed = this.#followed.get(execution.executionId);
    if (followed === undefined) return;
    const { status } = execution;
    if (followed.status !== undefined && followed.status !== status) followed.link.send({ type: 'changed', execution });
    followed.status = status;
    if (isTerminal(status)) this.#followed.delete(execution.executionId);
  }

  closed(link: PeerLink): void {
    for (const [executionId, followed] of this.#followed) {
      if (followed.link === link) this.#followed.delete(executionId);
    }
  }

  async #create({ executionId, ...create }: ForwardedCreate): Promise<CreateAnswer> {
    const request = requestOf({ executionId, ...create });
    if (this.#deps.sessions.get(request.machineId) === undefined) return { outcome: 'not_here' };
    return this.#deps.creator
      .create(request, { executionId, mayExist: false })
      .catch((): CreateAnswer => ({ outcome: 'failed' }));
  }

  #follow(executionId: string, link: PeerLink): void {
    this.#followed.set(executionId, { link, status: undefined });
    const [oldest] = this.#followed.keys();
    if (this.#followed.size > MAX_FOLLOWED && oldest !== undefined) this.#followed.delete(oldest);
  }
}
