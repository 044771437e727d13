/** Sends packed hints about this server's commits to the other servers, and receives theirs. A received hint causes a read of the database. */
import type { ClusterStore, Execution, Hint, HintListener } from '../../../store/store.ts';
import type { CommitListener } from '../live/commit-notifier.ts';
import { progressOf } from '../live/live.ts';
import type { Peers } from './links/peers.ts';

/** Interval in which hints are collected and sent together, ms. The first hint is sent immediately. */
const PACK_MS = 10;
/** The last sequence of an execution that is unchanged since its creation. */
const FIRST_SEQUENCE = 1;

/** The callbacks for hints of other servers. */
export interface HintedParts {
  execution(executionId: string, progress: number): void;
  /** The machine has waiting executions. */
  machine(machineId: string): void;
  /** An execution of the machine was cancelled. */
  cancel(machineId: string): void;
  status(machineId: string): void;
  batch(batchId: string): void;
  /** Orders or answers are in the inbox of this server. */
  inbox(): void;
  /** Any number of hints may have been missed. */
  everything(): void;
}

/** Sends hints about this server's commits, and passes received hints to the parts that they concern. */
export class HintChannel implements CommitListener, HintListener {
  readonly #cluster: Pick<ClusterStore, 'hint' | 'listen' | 'replicaId'>;
  readonly #peers: Pick<Peers, 'isComplete' | 'hint'>;
  readonly #parts: HintedParts;
  readonly #isAlone: () => boolean;
  readonly #executions = new Map<string, number>();
  readonly #others = new Map<string, Hint>();
  #timer: NodeJS.Timeout | undefined;
  #stop: (() => Promise<void>) | undefined;

  /** `isAlone`: there is no other server to send hints to. */
  constructor(p: {
    cluster: Pick<ClusterStore, 'hint' | 'listen' | 'replicaId'>;
    peers: Pick<Peers, 'isComplete' | 'hint'>;
    parts: HintedParts;
    isAlone: () => boolean;
  }) {
    this.#cluster = p.cluster;
    this.#peers = p.peers;
    this.#parts = p.parts;
    this.#isAlone = p.isAlone;
  }

  start(): void {
    this.#stop = this.#cluster.listen(this);
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#stop?.();
  }

  committed(execution: Execution): void {
    const { executionId, lastSequence } = execution;
    // No client of another server can wait for a new execution yet.
    if (lastSequence <= FIRST_SEQUENCE || this.#isAlone()) return;
    this.#executions.set(executionId, Math.max(progressOf(execution), this.#executions.get(executionId) ?? 0));
    this.#sendSoon();
  }

  send(hint: Exclude<Hint, { about: 'execution' }>): void {
    this.#others.set(Object.values(hint).join(' '), hint);
    this.#sendSoon();
  }

  hinted(hint: Hint): void {
    switch (hint.about) {
      case 'execution':
        this.#parts.execution(hint.executionId, hint.progress);
        break;
      case 'machine':
        this.#parts.machine(hint.machineId);
        break;
      case 'cancel':
        this.#parts.cancel(hint.machineId);
        break;
      case 'status':
        this.#parts.status(hint.machineId);
        break;
      case 'batch':
        this.#parts.batch(hint.batchId);
        break;
      case 'inbox':
        if (hint.replicaId === this.#cluster.replicaId) this.#parts.inbox();
        break;
    }
  }

  missedHints(): void {
    this.#parts.everything();
  }

  #sendSoon(): void {
    if (this.#timer !== undefined) return;
    // Hints of this turn are sent together with the first.
    queueMicrotask(() => this.#send());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#send();
    }, PACK_MS);
  }

  #send(): void {
    const hints: Hint[] = [...this.#others.values()];
    for (const [executionId, progress] of this.#executions) hints.push({ about: 'execution', executionId, progress });
    this.#others.clear();
    this.#executions.clear();
    if (hints.length === 0) return;
    if (this.#peers.isComplete) {
      this.#peers.hint(hints);
      // The database would have delivered them here too.
      for (const hint of hints) if (hint.about === 'inbox') this.hinted(hint);
    } else {
      // Polls make up for a lost hint.
      this.#cluster.hint(hints).catch(() => {});
    }
  }
}
