/**
 * Runs the due operations of providers: one at a time for each machine, a bounded number at a time for each provider. An operation is
 * written before its hook starts, so that after a crash another server runs it again under the same id.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { labelsOf } from '../../../core/machines/machine.ts';
import type { Operation } from '../../../core/machines/operation.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';
import {
  type JoinToken,
  type Machine,
  type OperationResult,
  type Store,
  StoreUnavailableError,
} from '../../../store/store.ts';
import type { ControlPlane } from '../control.ts';
import type { Provider, ProviderAnswer, ProviderRequest, Providers } from './provider.ts';

/** Delay after the store could not be used, and while all due operations wait for a free place. */
const RETRY_MS = 1000;
const TOKEN_LIFE_MS = 3_600_000;
/** Log messages of an operation that the provider did not complete, before a retry and without one. */
const FAILED = 'an operation of a provider failed; trying again';
const FAILED_FOR_GOOD =
  'an operation of a provider failed, and is not tried again: correct its cause and request it again';

type OperationStore = Pick<
  Store,
  'listProviders' | 'listDueOperations' | 'nextOperationAt' | 'beginOperation' | 'endOperation'
>;

export interface OperationRunnerDeps {
  store: OperationStore;
  providers: Providers;
  control: Pick<ControlPlane, 'detachAgent' | 'ended'>;
  log: Pick<Logger, 'info' | 'warn'>;
  /** ms since the epoch. */
  now: () => number;
  /** The longest delay, ms: another server may die with its hooks. */
  pollMs: number;
  /** URL by which agents reach this server. */
  serverUrl: () => string;
  /** Returns the join token of an operation: the same at every call. */
  joinTokenOf: (operationId: string) => { token: string; hash: Buffer };
}

/** Runs the hooks of providers. Owns their processes through the providers. */
export class OperationRunner {
  readonly #deps: OperationRunnerDeps;
  readonly #stopping = new AbortController();
  readonly #running = new Map<string, Set<Promise<void>>>();
  #scanning: Promise<void> | undefined;
  #scanAgain = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: OperationRunnerDeps) {
    this.#deps = deps;
  }

  /** Looks for due operations now. */
  wake(): void {
    if (this.#stopping.signal.aborted) return;
    clearTimeout(this.#timer);
    if (this.#scanning === undefined) {
      this.#scanning = this.#scan().finally(() => {
        this.#scanning = undefined;
        if (this.#scanAgain) this.wake();
      });
    } else this.#scanAgain = true;
  }

  /** Ends the running hooks. Settles when none is left. They run again when a server starts. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    await this.#scanning;
    await Promise.all([...this.#running.values()].flatMap((runs) => [...runs]));
  }

  async #scan(): Promise<void> {
    this.#scanAgain = false;
    const { store, providers, now, pollMs } = this.#deps;
    let sleepMs = RETRY_MS;
    try {
      const names = new Set([...providers.byName.keys(), ...(await store.listProviders())]);
      for (const name of names) await this.#startDue(providers.byName.get(name) ?? missing(name));
      const next = await store.nextOperationAt();
      const waitMs = next === undefined ? pollMs : next - now();
      // Due operations still wait for a free slot. The operation that frees a slot looks for them.
      sleepMs = waitMs > 0 ? Math.min(waitMs, pollMs) : RETRY_MS;
    } catch (cause) {
      this.#deps.log.warn({ err: cause }, 'reading the operations of providers failed; trying again');
    }
    if (!this.#stopping.signal.aborted) this.#timer = setTimeout(() => this.wake(), sleepMs).unref();
  }

  async #startDue(provider: Provider): Promise<void> {
    const running = this.#running.get(provider.name) ?? new Set();
    this.#running.set(provider.name, running);
    const limit = provider.concurrency - running.size;
    if (limit <= 0) return;
    const due = await this.#deps.store.listDueOperations({ provider: provider.name, now: this.#deps.now(), limit });
    for (const machine of due) {
      const run = this.#run(provider, machine).finally(() => {
        running.delete(run);
        this.wake();
      });
      running.add(run);
    }
  }

  async #run(provider: Provider, { machineId, operation }: Machine): Promise<void> {
    if (operation === undefined) return;
    const { store, control, now, log } = this.#deps;
    const operationId = `${machineId}.${operation.number}`;
    const token = operation.name === 'create' ? this.#deps.joinTokenOf(operationId) : undefined;
    const joinToken = token && { token: tokenRecord(machineId, operationId, now()), tokenHash: token.hash };
    try {
      const begun = await store.beginOperation({
        machineId,
        number: operation.number,
        ...(joinToken === undefined ? {} : { joinToken }),
        now: now(),
      });
      if (begun.outcome === 'stale') return;
      if (operation.name === 'sleep') await control.detachAgent(machineId);
      const answer = await this.#ask(provider, begun.machine, { operationId, joinToken: token?.token });
      // A stopping server leaves the operation running, because the effects of the interrupted hook are unknown.
      if (this.#stopping.signal.aborted) return;
      await this.#recordEnd(machineId, { number: operation.number, name: operation.name }, answer);
    } catch (cause) {
      log.warn(
        { err: cause, [LOG_KEY.machineId]: machineId },
        'an operation of a provider could not be recorded; it is done again with the same operation id',
      );
    }
  }

  /** An operation that the provider cannot do fails for good. If the provider cannot describe, the machine keeps its last state. */
  async #ask(
    provider: Provider,
    machine: Machine,
    p: { operationId: string; joinToken: string | undefined },
  ): Promise<ProviderAnswer> {
    const { operation, providerState } = machine;
    if (operation === undefined) return { ok: false, message: 'there is no operation', retryable: false };
    const { name, attempt } = operation;
    if (provider.capabilities.has(name)) {
      const request = requestOf(machine, { name, attempt, serverUrl: this.#deps.serverUrl(), ...p });
      const answer = await provider.run(request, this.#stopping.signal);
      return provider.capabilities.has('describe') ? answer : final(name, answer);
    }
    if (name === 'describe' && providerState !== 'unknown') return { ok: true, state: providerState };
    return { ok: false, message: `the provider ${provider.name} cannot ${name}`, retryable: false };
  }

  async #recordEnd(
    machineId: string,
    { number, name }: { number: number; name: Operation },
    answer: ProviderAnswer,
  ): Promise<void> {
    const { store, control, log, now } = this.#deps;
    const recorded = await this.#retryUntilWritten(() =>
      store.endOperation({ machineId, result: resultOf(number, answer), now: now() }),
    );
    if (recorded === undefined || recorded.outcome === 'stale') return;
    control.ended(recorded.ended);
    const logFields = { [LOG_KEY.machineId]: machineId, [LOG_KEY.operation]: name };
    if (answer.ok) log.info({ ...logFields, [LOG_KEY.status]: answer.state }, 'a provider answered');
    else log.warn({ ...logFields, [LOG_KEY.failure]: answer.message }, answer.retryable ? FAILED : FAILED_FOR_GOOD);
  }

  /** Repeats a write until it succeeds, because the answer of a hook must not be lost. Undefined if the server stops meanwhile. */
  async #retryUntilWritten<T>(write: () => Promise<T>): Promise<T | undefined> {
    while (!this.#stopping.signal.aborted) {
      try {
        return await write();
      } catch (cause) {
        if (!(cause instanceof StoreUnavailableError)) throw cause;
        await sleep(RETRY_MS, undefined, { ref: false });
      }
    }
    return undefined;
  }
}

/** Returns a provider for machines whose provider is no longer in the file. Its operations are retried until it is there again. */
function missing(name: string): Provider {
  return {
    name,
    capabilities: new Set(['create', 'delete', 'wake', 'sleep', 'resize', 'describe']),
    concurrency: 16,
    autosleepSeconds: 0,
    minAwakeMs: 0,
    attributes: new Map(),
    run: async () => ({ ok: false, message: `there is no provider ${name} on this server`, retryable: true }),
  };
}

/** Returns the answer of a provider without `describe`: a pending operation counts as done, except that only an agent proves `running`. */
function final(name: Operation, answer: ProviderAnswer): ProviderAnswer {
  if (!answer.ok || answer.state !== 'pending') return answer;
  if (name === 'sleep') return { ...answer, state: 'stopped' };
  return name === 'delete' ? { ...answer, state: 'absent' } : answer;
}

function requestOf(
  machine: Machine,
  p: { name: Operation; attempt: number; serverUrl: string; operationId: string; joinToken: string | undefined },
): ProviderRequest {
  return {
    version: 1,
    operation: p.name,
    operation_id: p.operationId,
    attempt: p.attempt,
    server_url: p.serverUrl,
    machine: {
      machine_id: machine.machineId,
      ...machine.facts,
      labels: labelsOf(machine),
      attributes: machine.attributes ?? {},
      ...(machine.providerRef === undefined ? {} : { provider_ref: machine.providerRef }),
    },
    ...(p.joinToken === undefined ? {} : { join_token: p.joinToken }),
  };
}

function resultOf(number: number, answer: ProviderAnswer): OperationResult {
  if (!answer.ok) {
    return { type: 'operation_failed', number, message: answer.message, retryable: answer.retryable };
  }
  const { state, providerRef, expectedMs } = answer;
  return {
    type: 'operation_answered',
    number,
    state,
    ...(expectedMs === undefined ? {} : { expectedMs }),
    ...(providerRef === undefined ? {} : { providerRef }),
  };
}

function tokenRecord(machineId: string, operationId: string, now: number): JoinToken {
  return {
    joinTokenId: `join-${operationId}`,
    machineId,
    reusable: true,
    createdAt: now,
    expiresAt: now + TOKEN_LIFE_MS,
  };
}
