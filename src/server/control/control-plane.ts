/** Constructs the control plane, which implements the interface for the HTTP routes (control.ts) and serves authenticated agents. */
import { ApiError } from '../../core/errors.ts';
import { isTerminal } from '../../core/execution.ts';
import type { Execution, Store } from '../../store/store.ts';
import { ConcurrencyLimiter } from './agents/concurrency-limiter.ts';
import { AGENT_LIMITS } from './agents/connection/limits.ts';
import { ReportGaps } from './agents/report-gaps.ts';
import { ReportBudget } from './agents/report-intake.ts';
import type { AdmittedAgent } from './agents/session-deps.ts';
import { AgentSessions } from './agents/sessions.ts';
import type { ExecutionCreator } from './commands/create-request.ts';
import type { ControlPlane } from './control.ts';
import { type ControlPlaneConfig, type ControlPlaneDeps, dispatchSettings, sessionSettings } from './control-config.ts';
import { Deadlines } from './deadlines.ts';
import { Dispatcher } from './dispatch.ts';
import { observeAll } from './execution-observer.ts';
import { callbackListener, type CommitListener, CommitNotifier } from './live/commit-notifier.ts';
import { type Listener, Live } from './live/live.ts';
import { type ChangedElsewhere, type ChangeHint, Cluster, type PeerSettings } from './cluster/cluster.ts';
import { ClusterClock } from './cluster/replica.ts';
import { LocalCommands, type MachineCommands } from './commands/machine-commands.ts';
import { Terminals, type TerminalsDeps } from './terminals/terminals.ts';
import { StdinRelay } from './commands/stdin.ts';
import { type OutputReaders, StreamedOutput } from './commands/streamed-output.ts';
import { TerminalLimits } from './commands/terminal-limits.ts';
import { UsageQueries } from './commands/usage-queries.ts';
import { OutputRelays, RELEASE_WITHIN_MS } from './relay/output-relays.ts';

export interface RunningControlPlane extends ControlPlane {
  /** ms since the epoch, by the clock that all servers share. */
  readonly now: () => number;
  /** Starts the session of an authenticated agent. */
  admit(agent: AdmittedAgent): void;
  readonly terminals: Terminals;
  /** Starts to accept agents, and the deadlines. Rejects if this server cannot join the other servers of its database. */
  start(): Promise<void>;
  /** Disconnects agents, answers waiting clients, and settles when all writes are done. The store belongs to the caller. */
  stop(): Promise<void>;
  /** For metrics: connections of agents, ready or not, and executions with a listener. */
  counts(): { links: number; subscribed: number };
}

/** Default time after which a terminal without a client is closed, ms. */
const DETACHED_MS = 24 * 3600 * 1000;

/** No connections to other servers. */
const ALONE: PeerSettings = { address: undefined, key: Buffer.alloc(0), version: '' };
const NOBODY: ChangedElsewhere = { status: () => {}, batch: () => {} };

/** Constructs the control plane. `start` starts it, `stop` disposes of everything that it owns. */
export function buildControlPlane(deps: ControlPlaneDeps, config: ControlPlaneConfig): RunningControlPlane {
  const { store, sealer, logger: log, observer = observeAll([]), elsewhere = NOBODY, peers = ALONE } = deps;
  const clock = store.cluster && new ClusterClock();
  const now = deps.now ?? clock?.now ?? Date.now;
  // Reports that reach another server although the agent is connected here are found by a hint or a poll.
  const live: Live = new Live(store, { hearsAll: (id) => !store.cluster || sessions.ready(id) !== undefined });
  const commits = new CommitNotifier();
  const stdin: StdinRelay = new StdinRelay({ live, session: (machineId) => sessions.ready(machineId) });
  const usage = new UsageQueries();
  const { streamBufferBytes, releaseWithinMs = RELEASE_WITHIN_MS } = config;
  const relays = new OutputRelays({
    ...{ streamBufferBytes, releaseWithinMs },
    releasedInStore: (p) => void output.deleteReleased(p),
  });
  const sessions = new AgentSessions({
    ...{ store, sealer, relays, commits, stdin, usage, observer, log, now },
    handshakes: new ConcurrencyLimiter(AGENT_LIMITS.reconciling, AGENT_LIMITS.reconcileQueue),
    probe: (machineId) => machines.probe(machineId),
    placeChanged: (machineId) => cluster?.placeChanged(machineId),
    reportBudget: new ReportBudget(),
    reportGaps: new ReportGaps(),
    settings: sessionSettings(config, store.cluster !== undefined),
  });
  const limits = new TerminalLimits({ session: (machineId) => sessions.ready(machineId) });
  const local = new LocalCommands({ sessions, stdin, usage, limits });
  const creator: ExecutionCreator = { create: (request, attempt) => dispatcher.create(request, attempt) };
  const cluster: Cluster | undefined =
    store.cluster &&
    clock &&
    new Cluster({ cluster: store.cluster, ...{ store, clock, sessions, local, live, log, elsewhere, creator, peers } });
  const machines: MachineCommands = cluster?.machines ?? local;
  const output = new StreamedOutput({
    ...{ store, relays, machines, now, streamBufferBytes, log },
    lastReport: ({ machineId, executionId }) => sessions.ready(machineId)?.reportedAtHello(executionId),
  });
  const { agentLostAfterMs, streamIdleMs } = config;
  const deadlines = new Deadlines({ store, log, now, commits, machines, agentLostAfterMs, streamIdleMs });
  const dispatcher = new Dispatcher({
    ...{ store, sessions, machines, sealer, now, commits, observer },
    servers: () => cluster?.live ?? 1,
    settings: dispatchSettings(config),
    waitsUntil: (expiresAt) => deadlines.waitsUntil(expiresAt),
  });
  commits.add(observer);
  commits.add(live);
  commits.add(sessions);
  commits.add(relays);
  if (cluster !== undefined) commits.add(cluster.commits);
  const { callbackDue } = deps;
  if (callbackDue !== undefined) commits.add(callbackListener(callbackDue));
  const creates = cluster?.creator ?? dispatcher;
  const owned = { live, dispatcher, sessions, relays, output, deadlines, cluster, limits };
  const parts = { store, now, commits, machines, creates, ...owned };
  const control = new LocalControlPlane(parts, { log, detachedMs: config.terminalDetachedMs ?? DETACHED_MS });
  commits.add(limits);
  commits.add(control.terminals);
  return control;
}

interface Parts {
  store: Store;
  now: () => number;
  commits: CommitListener;
  live: Live;
  machines: MachineCommands;
  dispatcher: Dispatcher;
  creates: ExecutionCreator;
  sessions: AgentSessions;
  relays: OutputRelays;
  output: OutputReaders;
  deadlines: Deadlines;
  /** Absent: this is the only server on its database. */
  cluster: Cluster | undefined;
  limits: TerminalLimits;
}

type Ask<Name extends Exclude<keyof ControlPlane, 'ready' | 'servers' | 'output'>> = Parameters<ControlPlane[Name]>[0];

class LocalControlPlane implements RunningControlPlane {
  readonly terminals: Terminals;
  readonly mayKeep: ControlPlane['mayKeep'];
  readonly detachAgent: ControlPlane['detachAgent'];
  readonly #parts: Parts;
  #open = false;

  constructor(parts: Parts, terminals: Pick<TerminalsDeps, 'log' | 'detachedMs'>) {
    this.#parts = parts;
    const { store, now, machines, limits } = parts;
    this.terminals = new Terminals({ store, now, machines, limits, control: this, ...terminals });
    this.mayKeep = (p) => parts.dispatcher.mayKeep(p);
    this.detachAgent = (machineId) => parts.machines.detach(machineId);
  }

  get ready(): boolean {
    return this.#open && (this.#parts.cluster?.ready ?? true);
  }

  get servers(): number {
    return this.#parts.cluster?.live ?? 1;
  }

  get output(): OutputReaders {
    return this.#parts.output;
  }

  get now(): () => number {
    return this.#parts.now;
  }

  admit(agent: AdmittedAgent): void {
    this.#parts.sessions.admit(agent);
  }

  async start(): Promise<void> {
    await this.#parts.cluster?.start();
    this.#open = true;
    this.#parts.deadlines.start();
    this.terminals.start();
  }

  async stop(): Promise<void> {
    const { cluster, live, deadlines, sessions, relays } = this.#parts;
    this.#open = false;
    await this.terminals.stop();
    live.close();
    await deadlines.stop();
    await cluster?.drain();
    await sessions.stop();
    await relays.stop();
    await cluster?.stop();
  }

  counts(): { links: number; subscribed: number } {
    return { links: this.#parts.sessions.size, subscribed: this.#parts.live.subscribed };
  }

  create(request: Ask<'create'>): ReturnType<ControlPlane['create']> {
    return this.#parts.creates.create(request);
  }

  async cancel(p: Ask<'cancel'>): ReturnType<ControlPlane['cancel']> {
    const { store, commits, machines, now } = this.#parts;
    const cancelled = await store.requestCancel({ ...p, now: now() });
    if (cancelled.outcome === 'applied') {
      commits.committed(cancelled.execution);
      machines.cancelled(cancelled.execution);
    }
    return cancelled;
  }

  async signal({ execution, signal }: Ask<'signal'>): ReturnType<ControlPlane['signal']> {
    const { machineId, executionId, status } = execution;
    if (isTerminal(status)) return 'stale';
    if (status !== 'running') return 'not_running';
    return this.#parts.machines.signal({ machineId, executionId, signal });
  }

  async resize({ execution, size }: Ask<'resize'>): ReturnType<ControlPlane['resize']> {
    const { machineId, executionId, status } = execution;
    if (isTerminal(status)) return 'stale';
    if (status !== 'running') return 'not_running';
    return this.#parts.machines.resize({ machineId, executionId, size });
  }

  async usage(execution: Execution): ReturnType<ControlPlane['usage']> {
    return execution.status === 'running' ? this.#parts.machines.usage(execution) : execution.usage;
  }

  async writeStdin(p: Ask<'writeStdin'>): ReturnType<ControlPlane['writeStdin']> {
    const written = await this.#parts.machines.writeStdin(p);
    if (written.outcome !== 'busy') return written;
    throw new ApiError('RATE_LIMITED', { message: 'Too many requests are writing to this stdin at once. Try again.' });
  }

  subscribe(executionId: string, listener: Listener): () => void {
    return this.#parts.live.subscribe(executionId, listener);
  }

  waitForEnd(p: Ask<'waitForEnd'>): ReturnType<ControlPlane['waitForEnd']> {
    return this.#parts.live.waitForEnd(p);
  }

  waitForEvents(p: Ask<'waitForEvents'>): ReturnType<ControlPlane['waitForEvents']> {
    return this.#parts.live.waitForEvents(p);
  }

  tell(hint: ChangeHint): void {
    this.#parts.cluster?.tell(hint);
  }

  async machineRemoved(machineId: string, ended: readonly Execution[]): Promise<void> {
    await this.#parts.machines.machineRemoved(machineId);
    this.ended(ended);
  }

  ended(executions: readonly Execution[]): void {
    for (const execution of executions) this.#parts.commits.committed(execution);
  }

  credentialChanged(machineId: string): Promise<void> {
    return this.#parts.machines.credentialChanged(machineId);
  }

  rotateCredential(p: Ask<'rotateCredential'>): ReturnType<ControlPlane['rotateCredential']> {
    return this.#parts.machines.rotateCredential(p);
  }
}
