/** The fixtures of the contract suite. */
import { afterEach, beforeEach, expect } from 'vitest';
import { type RawRecord, REPORT_KIND, type ReportKind, type StoredReport } from '../../../src/core/report.ts';
import type {
  Execution,
  ExecutionEvent,
  NewExecution,
  ReportBatch,
  ReportResult,
  Store,
} from '../../../src/store/store.ts';
import { SUCCEEDED } from '../../helpers/ended-payload.ts';

/** Opens an empty store; the suite closes it. */
export type OpenStore = () => Store | Promise<Store>;

export const MACHINE = 'dm-one';
export const RUNNER = 'runner-1';
export const FACTS = { vcpu: 2, memory_mib: 1024, storage_gib: 10 };
/** The first time in the suite, ms. The suite reads no clock. */
export const T0 = 1_000_000;

/** The request that removes a machine. */
export const REMOVE = { request: { type: 'remove', force: false }, capabilities: new Map() } as const;

type Asked = Partial<NewExecution> & { now?: number; dispatchTo?: string; epoch?: number; queueLimit?: number };

/** A store with one machine, and helpers for frequent steps. */
export class Bench {
  readonly store: Store;
  private made = 0;
  private readonly epochs = new Map<string, number>();

  constructor(store: Store) {
    this.store = store;
  }

  /** Makes a machine and connects it. */
  async connect(machineId = MACHINE, runnerInstance = RUNNER, now = T0): Promise<void> {
    await this.store.createMachine({ machineId, now });
    const connected = await this.store.machineConnected({
      machineId,
      runnerInstance,
      bootId: 'boot',
      facts: FACTS,
      now,
    });
    if (connected.outcome === 'applied') this.epochs.set(machineId, connected.epoch);
  }

  /** The epoch of the newest connection from `connect`. */
  epoch(machineId = MACHINE): number {
    return this.epochs.get(machineId) ?? 0;
  }

  /** Ends the newest connection. */
  disconnect(machineId = MACHINE, now = T0) {
    return this.store.machineDisconnected({ machineId, epoch: this.epoch(machineId), now });
  }

  /** The fields that all writes of the newest connection need. */
  ofConnection(now: number, machineId = MACHINE) {
    return { machineId, epoch: this.epoch(machineId), now };
  }

  /** The request of a create, with a new id for each call. */
  request(asked: Asked = {}) {
    this.made += 1;
    const { now = T0, dispatchTo: runnerInstance, epoch, queueLimit = 10_000, ...execution } = asked;
    const { machineId = MACHINE } = asked;
    return {
      execution: {
        executionId: `exec-${this.made}`,
        machineId,
        command: ['echo', 'hi'],
        envKeys: [],
        stdinMode: 'none' as const,
        expiresAt: now + 60_000,
        createdBy: 'admin',
        ...execution,
      },
      now,
      queueLimit,
      ...(runnerInstance === undefined
        ? {}
        : { dispatchTo: { runnerInstance, epoch: epoch ?? this.epoch(machineId) } }),
    };
  }

  /** Creates an execution and expects success. */
  async create(asked: Asked = {}): Promise<Execution> {
    const outcome = await this.store.createExecution(this.request(asked));
    if (outcome.outcome !== 'created') throw new Error(outcome.outcome);
    return outcome.execution;
  }

  /** Creates an execution that is dispatched to the machine's runner. */
  async dispatched(asked: Asked = {}): Promise<Execution> {
    const execution = await this.create({ dispatchTo: RUNNER, ...asked });
    expect(execution.dispatchedTo).toBe(asked.dispatchTo ?? RUNNER);
    return execution;
  }

  async get(executionId: string, machineId = MACHINE): Promise<Execution> {
    const execution = await this.store.getExecution({ machineId, executionId });
    if (execution === undefined) throw new Error(`no ${executionId}`);
    return execution;
  }

  events(executionId: string): Promise<ExecutionEvent[]> {
    return this.store.listEvents({ executionId, afterSequence: 0, limit: 100_000, maxBytes: 2 ** 40 });
  }

  /** Appends records in one batch. Returns the result for the first execution in the batch. */
  async report(records: StoredReport[], p: Partial<Omit<ReportBatch, 'records'>> = {}) {
    const { machineId = MACHINE, now = T0 + 10, clockOffsetMs = 0, ...caps } = p;
    const results = await this.store.appendReports({ machineId, records, clockOffsetMs, now, ...caps });
    const first = results[0];
    if (first === undefined) throw new Error('no result');
    return first satisfies ReportResult;
  }
}

/** A report as it arrives from the link. */
export function record(
  executionId: string,
  number: number,
  kind: ReportKind,
  payload: string | Buffer | object = '',
  at = T0 + number,
): RawRecord {
  const bytes = Buffer.isBuffer(payload)
    ? payload
    : Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
  return { kind: REPORT_KIND[kind], executionId, number, at, payload: bytes };
}

/** The payload of `ended`: by default succeeded, without output. */
export function ended(fields: object = {}): object {
  return { ...SUCCEEDED, ...fields };
}

/** Opens a store before each test of the enclosing `describe` and closes it after; returns a function for it. */
export function useStore(open: OpenStore): () => Bench {
  let bench: Bench | undefined;
  beforeEach(async () => {
    bench = new Bench(await open());
    await bench.connect();
  });
  afterEach(async () => {
    await bench?.store.close();
  });
  return () => {
    if (bench === undefined) throw new Error('no store is open');
    return bench;
  };
}
