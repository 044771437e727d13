/** The settings and the dependencies of the control plane. */
import type { Logger } from 'pino';
import type { Capabilities } from '../../core/decisions/machine-change.ts';
import type { Store } from '../../store/store.ts';
import type { Sealer } from '../seal.ts';
import { AGENT_LIMITS } from './agents/connection/limits.ts';
import type { SessionDeps } from './agents/session-deps.ts';
import type { ArtifactSettings } from './agents/start-frame.ts';
import type { ChangedElsewhere, PeerSettings } from './cluster/cluster.ts';
import type { DispatchDeps } from './dispatch.ts';
import type { ExecutionObserver } from './execution-observer.ts';

export interface ControlPlaneConfig {
  /** Default time for which an execution may wait for its start, ms. */
  queueTtlMs: number;
  /** Time for which an agent may be offline before its commands are lost, ms. */
  agentLostAfterMs: number;
  /** Bytes kept of each stream. */
  maxOutputBytes: number;
  /** Unread bytes of a stream in stream mode above which the command waits, and the time to wait for a reader, ms. */
  streamBufferBytes: number;
  streamIdleMs: number;
  /** Output in stream mode passes through memory for this time after its reader has released some, ms. */
  releaseWithinMs?: number;
  artifacts: ArtifactSettings;
  /** Time between SIGTERM and SIGKILL when cancelling, ms. */
  cancelGraceMs: number;
  /** Executions that may wait for one machine. */
  queueLimit?: number;
  /** Bytes of requests that may wait for one machine, and of one API key on all machines. */
  maxQueuedBytes?: number;
  maxQueuedBytesPerKey?: number;
  /** The capabilities of providers: an execution wakes a machine that was put to sleep. */
  capabilities?: Capabilities;
  /** A terminal without a client is closed after this time, ms. */
  terminalDetachedMs?: number;
  heartbeatMs?: number;
  /** Control frames of one agent each second. */
  maxFramesPerSecond?: number;
  /** The version of this server, sent to agents. */
  version: string;
}

export interface ControlPlaneDeps {
  store: Store;
  sealer: Sealer;
  logger: Logger;
  /** ms since the epoch. */
  now?: () => number;
  /** Called when an execution with a callback_url has ended. */
  callbackDue?: () => void;
  observer?: ExecutionObserver;
  elsewhere?: ChangedElsewhere;
  /** Connections to the other servers. Absent: everything between servers goes through the database. */
  peers?: PeerSettings;
}

/** Interval of the heartbeats of agents, ms: for a server alone, and for servers that share a database. */
const HEARTBEAT_MS = 15_000;
/** An agent leaves a server whose host has vanished after two of them, so that another server serves its machine within 30 s. */
const SHARED_HEARTBEAT_MS = 10_000;

/** Returns the settings of agent sessions, with the defaults. `isShared`: other servers may use the same database. */
export function sessionSettings(config: ControlPlaneConfig, isShared: boolean): SessionDeps['settings'] {
  return {
    version: config.version,
    heartbeatMs: config.heartbeatMs ?? (isShared ? SHARED_HEARTBEAT_MS : HEARTBEAT_MS),
    framesPerSecond: config.maxFramesPerSecond ?? AGENT_LIMITS.framesPerSecond,
    maxOutputBytes: config.maxOutputBytes,
    streamBufferBytes: config.streamBufferBytes,
    graceMs: config.cancelGraceMs,
    artifacts: config.artifacts,
  };
}

/** Returns the settings of the dispatcher, with the defaults. */
export function dispatchSettings(config: ControlPlaneConfig): DispatchDeps['settings'] {
  return {
    queueTtlMs: config.queueTtlMs,
    queueLimit: config.queueLimit ?? 10_000,
    queueBytes: config.maxQueuedBytes ?? 268_435_456,
    queueBytesPerKey: config.maxQueuedBytesPerKey ?? 67_108_864,
    capabilities: config.capabilities ?? new Map(),
  };
}
