/** Dispatch: an execution goes to its machine's agent, marked and committed before its start is sent, or it waits. */
import { customAlphabet } from 'nanoid';
import type { Logger } from 'pino';
import type { CreateOutcome, Dispatch, Execution, NewExecution, Store } from '../../store/store.ts';
import { Claims } from './agents/queue-claimer.ts';
import type { Departure, Lane } from './agents/start-queue.ts';
import type { AgentRegistry, AgentSession } from './agents/sessions.ts';
import { type StartSettings, sendStart } from './agents/start.ts';
import type { CreateRequest } from './control.ts';
import type { ExecutionObserver } from './execution-observer.ts';
import type { Sealer, SecretInput } from '../seal.ts';
import { LOG_KEY } from '../../node/log-keys.ts';

/** 16 letters and digits: 95 random bits, legal at the end of an id. */
const randomPart = customAlphabet('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz', 16);
const NOTHING = Buffer.alloc(0);

export interface DispatchDeps {
  store: Store;
  registry: AgentRegistry;
  sealer: Sealer;
  log: Pick<Logger, 'warn' | 'error'>;
  now: () => number;
  settings: StartSettings & { queueTtlMs: number; queueLimit: number };
  publish: (execution: Execution) => void;
  observer: ExecutionObserver;
  /** Something waits that expires at this time (ms since the epoch). */
  waitsUntil: (expiresAt: number) => void;
}

export class Dispatcher {
  readonly #deps: DispatchDeps;

  constructor(deps: DispatchDeps) {
    this.#deps = deps;
  }

  /** Commits a new execution; straight to the agent in the same transaction where it has a free slot and nothing waits. */
  async create(request: CreateRequest): Promise<CreateOutcome> {
    const { store, registry, settings } = this.#deps;
    const { machineId } = request;
    const now = this.#deps.now();
    const input = inputOf(request);
    const execution = this.#newExecution(request, input, now);
    const common = { execution, now, queueLimit: settings.queueLimit, ...pick(request, 'idempotency') };
    const session = registry.get(machineId);
    if (session?.ready?.claims.clear !== true) return this.#created(await store.createExecution(common), request);

    const { lane } = session.ready;
    const reservation = lane.reserve(1, input.stdin.length + (execution.sealedInput?.length ?? 0));
    const departures: Departure[] = [];
    try {
      const { runnerInstance, epoch = 0 } = session;
      const write = store.createExecution({ ...common, dispatchTo: { runnerInstance, epoch } });
      const outcome = await registry.track(machineId, write);
      if (outcome.outcome === 'created' && outcome.execution.dispatchedTo !== undefined) {
        departures.push(this.#departure(session, outcome.execution, () => input));
      }
      return this.#created(outcome, request);
    } finally {
      lane.settle(reservation, departures);
      // What could not go out with this slot, another may.
      session.ready.claims.pump();
    }
  }

  /** What claims from the store for this session. */
  claims(session: AgentSession, lane: Lane): Claims {
    const { store, registry, log } = this.#deps;
    const { machineId } = session;
    return new Claims({
      lane,
      accepting: () => session.accepting,
      claim: async (limit) => {
        const write = store.claimQueued({ machineId, epoch: session.epoch ?? 0, limit, now: this.#deps.now() });
        const claimed = await registry.track(machineId, write);
        return claimed.outcome === 'applied' ? claimed.dispatches : [];
      },
      departure: (dispatch) => this.departure(session, dispatch),
      failed: (cause) => log.warn({ [LOG_KEY.machineId]: machineId, err: cause }, 'claiming failed; it is tried again'),
    });
  }

  /** A start that goes out with what was sealed for it. */
  departure(session: AgentSession, { execution, sealedInput }: Dispatch): Departure {
    return this.#departure(session, execution, () => this.#deps.sealer.open(execution.executionId, sealedInput));
  }

  /** Ends what was marked for an agent and can never be sent, or followed, any more. */
  async lose(session: AgentSession, execution: Execution, reason: string): Promise<void> {
    const { store, log, now, publish } = this.#deps;
    const { executionId, machineId } = execution;
    log.error(
      { [LOG_KEY.machineId]: machineId, [LOG_KEY.executionId]: executionId, [LOG_KEY.reason]: reason },
      'an execution is given up',
    );
    try {
      const { epoch = 0 } = session;
      const lost = await store.markLost({ machineId, epoch, executionIds: [executionId], reason, now: now() });
      if (lost.outcome === 'applied') lost.ended.forEach(publish);
    } catch (cause) {
      // It stays marked: the next hello of the machine decides again.
      log.error(
        { [LOG_KEY.machineId]: machineId, [LOG_KEY.executionId]: executionId, err: cause },
        'its end could not be written',
      );
    }
  }

  #departure(session: AgentSession, execution: Execution, open: () => SecretInput): Departure {
    return {
      execution,
      send: () => {
        let input: SecretInput;
        try {
          input = open();
        } catch {
          void this.lose(
            session,
            execution,
            'The server cannot read the env and stdin that it sealed for this execution.',
          );
          return;
        }
        sendStart(session, execution, input, this.#deps.settings);
        this.#deps.observer.dispatched(execution);
      },
    };
  }

  #created(outcome: CreateOutcome, request: CreateRequest): CreateOutcome {
    if (outcome.outcome !== 'created') return outcome;
    const { execution } = outcome;
    this.#deps.observer.created(execution, request);
    this.#deps.publish(execution);
    if (execution.dispatchedTo === undefined) {
      this.#deps.waitsUntil(execution.expiresAt);
      this.#deps.registry.get(execution.machineId)?.ready?.claims.noteWaiting();
    }
    return outcome;
  }

  #newExecution(request: CreateRequest, input: SecretInput, now: number): NewExecution {
    const executionId = freshExecutionId(now);
    const sealedInput = this.#deps.sealer.seal(executionId, input);
    return {
      executionId,
      machineId: request.machineId,
      command: request.command,
      envKeys: Object.keys(request.env).sort(),
      stdinMode: request.stdin.mode,
      expiresAt: now + (request.startWithinMs ?? this.#deps.settings.queueTtlMs),
      createdBy: request.createdBy,
      ...pick(request, 'cwd', 'user', 'timeoutMs', 'callbackUrl'),
      ...(sealedInput !== undefined && { sealedInput }),
    };
  }
}

/** Ids of one time lie beside each other in the index: a create touches its newest page, not one anywhere in the history. */
function freshExecutionId(now: number): string {
  return `ex-${now.toString(36)}${randomPart()}`;
}

function inputOf(request: CreateRequest): SecretInput {
  return { env: request.env, stdin: request.stdin.mode === 'fixed' ? request.stdin.bytes : NOTHING };
}

/** Those of the optional properties that are there. */
function pick<T extends object, K extends keyof T>(from: T, ...keys: K[]): Pick<T, K> {
  const picked: Partial<T> = {};
  for (const key of keys) if (from[key] !== undefined) picked[key] = from[key];
  return picked as Pick<T, K>;
}
