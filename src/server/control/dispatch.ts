/** Creates and dispatches executions. The dispatch is committed before the start is sent; without a free slot the execution waits. */
import type { Capabilities } from '../../core/decisions/machine-change.ts';
import { queuedBytesOf } from '../../core/decisions/queue.ts';
import type { CreateOutcome, ExistingExecution, Idempotency, NewExecution, Store } from '../../store/store.ts';
import type { Sealer, SecretInput } from '../seal.ts';
import type { AgentSessions } from './agents/sessions.ts';
import type { PendingStart } from './agents/start-queue.ts';
import type { ExecutionObserver } from './execution-observer.ts';
import type { CommitListener } from './live/commit-notifier.ts';
import {
  type CreateAttempt,
  type CreateRequest,
  type CreateResult,
  type ExecutionCreator,
  newExecutionId,
} from './commands/create-request.ts';
import type { MachineCommands } from './commands/machine-commands.ts';
import { QueuedBytes } from './queued-bytes.ts';

const NOTHING = Buffer.alloc(0);

export interface DispatchDeps {
  store: Pick<Store, 'createExecution' | 'queuedBytes' | 'findReplay'>;
  sessions: AgentSessions;
  machines: Pick<MachineCommands, 'waiting'>;
  sealer: Pick<Sealer, 'sealInTurns'>;
  /** ms since the epoch. */
  now: () => number;
  /** Number of servers that share the load. */
  servers: () => number;
  settings: {
    queueTtlMs: number;
    queueLimit: number;
    /** Bytes of argv, env and stdin that may wait for one machine, and of one API key. */
    queueBytes: number;
    queueBytesPerKey: number;
    capabilities: Capabilities;
  };
  commits: CommitListener;
  observer: Pick<ExecutionObserver, 'created'>;
  /** Called when an execution waits that expires at this time (ms since the epoch). */
  waitsUntil: (expiresAt: number) => void;
}

/** Creates executions, and dispatches them to a connected agent with a free slot. */
export class Dispatcher implements ExecutionCreator {
  readonly #deps: DispatchDeps;
  readonly #queuedBytes: QueuedBytes;

  constructor(deps: DispatchDeps) {
    this.#deps = deps;
    const { now, servers, settings } = deps;
    this.#queuedBytes = new QueuedBytes(deps.store, { limit: settings.queueBytesPerKey, now, servers });
  }

  /** Commits a new execution. It is dispatched in the same transaction if the agent has a free slot and no other execution waits. */
  async create(request: CreateRequest, attempt?: CreateAttempt): Promise<CreateResult> {
    const { store, sessions, settings } = this.#deps;
    const { machineId } = request;
    const now = this.#deps.now();
    const input = inputOf(request);
    const executionId = attempt?.executionId ?? newExecutionId(request, now);
    const execution = await this.#newExecution(request, { executionId, input, now });
    const mayExist = attempt?.mayExist === true;
    const { queueLimit, queueBytes, capabilities } = settings;
    const limits = { queueLimit, queueBytes };
    const common = { execution, mayExist, now, capabilities, ...limits, ...pick(request, 'actor', 'idempotency') };
    const session = sessions.get(machineId);
    const reservation = session?.reserve(input.stdin.length + (execution.sealedInput?.length ?? 0));
    if (session === undefined || reservation === undefined) {
      const mayWait = await this.mayKeep({
        createdBy: request.createdBy,
        bytes: queuedBytesOf(execution),
        ...pick(request, 'idempotency'),
      });
      if (!mayWait) return { outcome: 'key_queue_full' };
      return this.#created(await store.createExecution(common), request);
    }
    const starts: PendingStart[] = [];
    try {
      const { runnerInstance, epoch } = session;
      const outcome = await store.createExecution({ ...common, dispatchTo: { runnerInstance, epoch } });
      if (outcome.outcome === 'created' && outcome.execution.dispatchedTo !== undefined) {
        starts.push({ execution: outcome.execution, openInput: () => input });
      }
      return this.#created(outcome, request);
    } finally {
      session.commit(reservation, starts);
    }
  }

  /** Counts bytes that a key keeps on the server. Returns whether they may be kept: they fit, or the request repeats one that was admitted. */
  async mayKeep(p: { createdBy: string; bytes: number; idempotency?: Idempotency }): Promise<boolean> {
    if (await this.#queuedBytes.admits(p.createdBy, p.bytes)) return true;
    const { idempotency } = p;
    if (idempotency === undefined) return false;
    return (await this.#deps.store.findReplay({ idempotency, now: this.#deps.now() })) !== undefined;
  }

  #created(outcome: CreateOutcome | ExistingExecution, request: CreateRequest): CreateOutcome {
    // The server that made it has announced it.
    if (outcome.outcome === 'existing') return { ...outcome, outcome: 'created' };
    if (outcome.outcome !== 'created') return outcome;
    const { execution } = outcome;
    this.#deps.observer.created(execution, request);
    this.#deps.commits.committed(execution);
    if (execution.dispatchedTo === undefined) {
      this.#deps.waitsUntil(execution.expiresAt);
      this.#deps.machines.waiting(execution.machineId);
    }
    return outcome;
  }

  async #newExecution(
    request: CreateRequest,
    { executionId, input, now }: { executionId: string; input: SecretInput; now: number },
  ): Promise<NewExecution> {
    const {
      actor,
      idempotency,
      trace,
      env,
      stdin,
      startWithinMs = this.#deps.settings.queueTtlMs,
      ...fields
    } = request;
    const sealedInput = await this.#deps.sealer.sealInTurns(executionId, input);
    return {
      ...fields,
      executionId,
      envKeys: Object.keys(env).sort(),
      stdinMode: stdin.mode,
      expiresAt: now + startWithinMs,
      ...(sealedInput !== undefined && { sealedInput }),
    };
  }
}

function inputOf(request: CreateRequest): SecretInput {
  return { env: request.env, stdin: request.stdin.mode === 'fixed' ? request.stdin.bytes : NOTHING };
}

/** Returns the optional properties that are present. */
function pick<T extends object, K extends keyof T>(from: T, ...keys: K[]): Pick<T, K> {
  const picked: Partial<T> = {};
  for (const key of keys) if (from[key] !== undefined) picked[key] = from[key];
  return picked as Pick<T, K>;
}
