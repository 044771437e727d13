/** The dependencies of an agent session. Built once in control-plane.ts, the same for all sessions. */
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import type { WebSocket } from 'ws';
import type { Stream } from '../../../core/execution.ts';
import type { StdinAck, UsageFrame } from '../../../core/protocol.ts';
import type { Execution, Store } from '../../../store/store.ts';
import type { Sealer } from '../../seal.ts';
import type { CommitListener } from '../live/commit-notifier.ts';
import type { OutputRelays } from '../relay/output-relays.ts';
import type { ConcurrencyLimiter } from './concurrency-limiter.ts';
import type { ReportGaps } from './report-gaps.ts';
import type { ReportBudget } from './report-intake.ts';
import type { StartSettings } from './start-frame.ts';

/** The offset up to which each stream was released. */
export type Released = Readonly<Record<Stream, number>>;

/** The callbacks for live stdin. */
export interface StdinListener {
  /** Called when the runner has acknowledged bytes of stdin. */
  acknowledged(machineId: string, ack: StdinAck): void;
  /** Called when the machine has another session or none. */
  sessionChanged(machineId: string): void;
}

/** The callback for answers to `usage_query`. */
export interface UsageListener {
  answered(machineId: string, frame: UsageFrame): void;
}

export interface SessionDeps {
  store: Store;
  sealer: Pick<Sealer, 'open'>;
  /** Limits the number of handshakes at a time. */
  handshakes: ConcurrencyLimiter;
  reportBudget: ReportBudget;
  reportGaps: ReportGaps;
  /** Passes on output in stream mode from memory. */
  relays: OutputRelays;
  commits: CommitListener;
  stdin: StdinListener;
  usage: UsageListener;
  /** Makes the server that holds the machine's connection check whether the agent is alive. */
  probe: (machineId: string) => Promise<void>;
  /** Called when the machine has another session, or none any more. */
  placeChanged: (machineId: string) => void;
  /** Called when a start was given to the connection. */
  observer: { dispatched(execution: Execution): void };
  log: Pick<Logger, 'info' | 'warn' | 'error'>;
  /** ms since the epoch. */
  now: () => number;
  settings: StartSettings & { version: string; heartbeatMs: number; framesPerSecond: number };
}

/** An agent that was authenticated at the upgrade. */
export interface AdmittedAgent {
  ws: WebSocket;
  socket: Pick<Socket, 'bytesRead' | 'cork' | 'uncork'>;
  machineId: string;
  /** SHA-256 of the agent's credential. */
  credentialHash: Buffer;
}
