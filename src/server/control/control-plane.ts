/** The control plane, put together: what the HTTP routes ask for (control.ts), and the door for agents. */
import type { Logger } from 'pino';
import { isTerminal } from '../../core/execution.ts';
import type { Execution, Store } from '../../store/store.ts';
import type { ControlPlane } from './control.ts';
import { Deadlines } from './deadlines.ts';
import { Dispatcher } from './dispatch.ts';
import { type ExecutionObserver, observeAll } from './execution-observer.ts';
import { Live } from './live.ts';
import type { Sealer } from '../seal.ts';
import { Admission } from './agents/concurrency-limiter.ts';
import { type ArrivalDeps, receiveHello } from './agents/handshake.ts';
import { Disconnects } from './agents/disconnects.ts';
import { equip } from './agents/equip.ts';
import { Gaps } from './agents/gaps.ts';
import { AGENT_LIMITS } from './agents/limits.ts';
import { Links } from './agents/links.ts';
import { AgentRegistry } from './agents/sessions.ts';
import { ReportBudget } from './agents/report-intake.ts';
import { answerRequests } from './requests.ts';
import { StdinRelay } from './stdin.ts';
import { createUpgradeHandler, type UpgradeHandler } from '../http/agents/authentication.ts';

export interface ControlPlaneConfig {
  /** How long an execution may wait for its start by default, ms. */
  queueTtlMs: number;
  /** How long an agent may be away before what it runs is lost, ms. */
  agentLostAfterMs: number;
  /** Bytes kept of each stream. */
  maxOutputBytes: number;
  /** Between SIGTERM and SIGKILL when cancelling, ms. */
  cancelGraceMs: number;
  /** Executions that may wait for one machine. */
  queueLimit?: number;
  heartbeatMs?: number;
  /** Largest message of an agent, bytes, and its control frames a second. */
  maxFrameBytes?: number;
  maxFramesPerSecond?: number;
  /** Agents have to show a client certificate, which the TLS of the server has checked. */
  requireAgentCertificate?: boolean;
  /** Of this server, told to agents. */
  version: string;
}

export interface ControlPlaneDeps {
  store: Store;
  sealer: Sealer;
  logger: Logger;
  /** ms since the epoch. */
  now?: () => number;
  /** An execution with a callback_url has ended. */
  callbackDue?: () => void;
  observer?: ExecutionObserver;
}

export interface RunningControlPlane extends ControlPlane {
  /** For each `upgrade` event of the HTTP server. */
  handleUpgrade: UpgradeHandler;
  /** Agents are let in, deadlines run. */
  start(): void;
  /** Sends agents away, answers who waits, and settles when all writes are done; the store is the caller's. */
  stop(): Promise<void>;
  /** For metrics: links of agents, ready or not, and executions that somebody listens to. */
  counts(): { links: number; subscribed: number };
}

/** Builds it; `start` sets it going, `stop` disposes of all it owns. */
export function buildControlPlane(deps: ControlPlaneDeps, config: ControlPlaneConfig): RunningControlPlane {
  const { store, now = Date.now } = deps;
  const log = deps.logger;
  const { heartbeatMs = 15_000, queueLimit = 10_000, cancelGraceMs: graceMs, maxOutputBytes, queueTtlMs } = config;
  const registry = new AgentRegistry();
  const live = new Live(store);
  const observer = deps.observer ?? observeAll([]);
  const publish = publisher(live, registry, observer, deps.callbackDue);
  const parts = { store, registry, log, now, publish };
  const deadlines = new Deadlines({ ...parts, agentLostAfterMs: config.agentLostAfterMs });
  const dispatcher = new Dispatcher({
    ...parts,
    observer,
    sealer: deps.sealer,
    settings: { maxOutputBytes, graceMs, queueTtlMs, queueLimit },
    waitsUntil: (expiresAt) => deadlines.waitsUntil(expiresAt),
  });
  const stdin = new StdinRelay({ registry, live });
  const reports = { budget: new ReportBudget(), gaps: new Gaps() };
  const disconnects = new Disconnects({ store, registry, now });
  const arrivals: ArrivalDeps = {
    ...parts,
    admission: new Admission(AGENT_LIMITS.reconciling, AGENT_LIMITS.reconcileLine),
    version: config.version,
    heartbeatMs,
    graceMs,
    equip: (session, arrived) => equip({ ...parts, ...reports, dispatcher }, session, arrived),
    departure: (session, dispatch) => dispatcher.departure(session, dispatch),
    away: (machineId, epoch) => disconnects.note(machineId, epoch),
    ready: (session) => stdin.linkChanged(session.machineId),
  };
  const links = new Links({
    registry,
    disconnects,
    stdin,
    log,
    heartbeatMs,
    framesPerSecond: config.maxFramesPerSecond ?? AGENT_LIMITS.framesPerSecond,
    receiveHello: (connection, hello) => receiveHello(arrivals, connection, hello),
  });
  let open = false;
  return {
    ...answerRequests({ ...parts, live, dispatcher, stdin, graceMs }),
    handleUpgrade: createUpgradeHandler({
      store,
      log,
      open: () => open,
      maxFrameBytes: config.maxFrameBytes ?? AGENT_LIMITS.messageBytes,
      requireCertificate: config.requireAgentCertificate ?? false,
      connected: ({ machine: { machineId }, ...link }) => links.connected({ machineId, ...link }),
    }),
    start() {
      open = true;
      deadlines.start();
    },
    async stop() {
      open = false;
      live.close();
      await deadlines.stop();
      await links.stop();
      await registry.allSettled();
      disconnects.close();
    },
    counts: () => ({ links: links.size, subscribed: live.subscribed }),
  };
}

/** Tells of a commit; what ended otherwise than by its own reports is forgotten by its agent, and its slot is free. */
function publisher(
  live: Live,
  registry: AgentRegistry,
  observer: ExecutionObserver,
  callbackDue: (() => void) | undefined,
) {
  return (execution: Execution): void => {
    observer.committed(execution);
    live.publish(execution);
    if (!isTerminal(execution.status)) return;
    const ready = registry.get(execution.machineId)?.ready;
    if (ready?.lane.finished(execution.executionId)) {
      ready.acks.forget([execution.executionId]);
      ready.claims.pump();
    }
    if (execution.callbackUrl !== undefined) callbackDue?.();
  };
}
