/** From an agent's hello to a link that is ready: who it is, what it holds, what it is sent, and only then new work. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from 'pino';
import { CLOSE, type Hello, PROTOCOL_VERSION } from '../../../core/protocol.ts';
import { type Dispatch, type Execution, type Store, StoreUnavailableError } from '../../../store/store.ts';
import type { Admission } from './concurrency-limiter.ts';
import type { AgentConnection } from './connection.ts';
import type { Arrived } from './equip.ts';
import type { Departure } from './start-queue.ts';
import { AGENT_LIMITS } from './limits.ts';
import { type Reconciliation, reconcile } from './reconcile.ts';
import type { AgentRegistry, AgentSession, ReadyParts } from './sessions.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';

export interface ArrivalDeps {
  store: Store;
  registry: AgentRegistry;
  admission: Admission;
  log: Pick<Logger, 'info' | 'warn' | 'error'>;
  now: () => number;
  /** Version of this server, and what the welcome grants. */
  version: string;
  heartbeatMs: number;
  graceMs: number;
  publish: (execution: Execution) => void;
  /** Makes what a ready session needs. */
  equip: (session: AgentSession, arrived: Arrived) => ReadyParts;
  /** A start that goes out with what was sealed for it. */
  departure: (session: AgentSession, dispatch: Dispatch) => Departure;
  /** A connection that has closed again was written down as the machine's. */
  away: (machineId: string, epoch: number) => void;
  /** The session is ready: who waits for the machine's agent goes on. */
  ready: (session: AgentSession) => void;
}

/** The session of a connection that said hello; `undefined` where it was refused and closed. */
export function receiveHello(deps: ArrivalDeps, connection: AgentConnection, hello: Hello): AgentSession | undefined {
  const protocol = highestCommonVersion(hello.protocol);
  if (protocol === undefined) {
    const { min, max } = PROTOCOL_VERSION;
    connection.close(CLOSE.version, `this server speaks protocol versions ${min} to ${max}`);
    return undefined;
  }
  const { machineId } = connection;
  const runnerInstance = hello.runner_instance;
  const session: AgentSession = {
    machineId,
    runnerInstance,
    connection,
    accepting: true,
    cancels: new Set<string>(),
  };
  const claim = deps.registry.claim(session);
  if (claim.outcome === 'refused') {
    deps.log.warn(
      {
        [LOG_KEY.machineId]: machineId,
        [LOG_KEY.runnerInstance]: runnerInstance,
        [LOG_KEY.connected]: claim.holder.runnerInstance,
      },
      'second agent refused',
    );
    claim.holder.connection.probe(Math.min(deps.heartbeatMs, PROBE_MS));
    connection.close(CLOSE.duplicate, 'another runner instance is connected with this credential');
    return undefined;
  }
  if (claim.outcome === 'taken_over') claim.from.connection.close(CLOSE.replaced, 'this instance has a new link');
  void admit(deps, session, hello, { protocol, clockOffsetMs: deps.now() - hello.clock_ms });
  return session;
}

/** How long the connected agent has to give a sign of life when another one wants in. */
const PROBE_MS = 5000;

/** The highest protocol version that both ends speak. */
function highestCommonVersion(offered: Hello['protocol']): number | undefined {
  const highest = Math.min(offered.max, PROTOCOL_VERSION.max);
  return highest >= Math.max(offered.min, PROTOCOL_VERSION.min) ? highest : undefined;
}

interface Terms {
  protocol: number;
  /** Server clock minus agent clock, ms. */
  clockOffsetMs: number;
}

async function admit(deps: ArrivalDeps, session: AgentSession, hello: Hello, terms: Terms): Promise<void> {
  const { connection, machineId } = session;
  try {
    const outcome = await deps.admission.run(async () => {
      await deps.registry.settled(machineId);
      if (connection.closed) return;
      await deps.registry.track(machineId, settle(deps, session, hello, terms));
      await wake(deps, session);
    });
    if (outcome === 'refused') connection.close(CLOSE.restart, 'too many agents arrive at once');
  } catch (cause) {
    if (cause instanceof StoreUnavailableError)
      deps.log.warn({ [LOG_KEY.machineId]: machineId, err: cause }, 'agent sent away');
    else deps.log.error({ [LOG_KEY.machineId]: machineId, err: cause }, 'reconciling failed');
    connection.close(CLOSE.restart, 'the store cannot be used now');
  }
}

/** Everything up to the moment when the link is ready; stops where it closes meanwhile. */
async function settle(deps: ArrivalDeps, session: AgentSession, hello: Hello, terms: Terms): Promise<void> {
  const { store, now } = deps;
  const { connection, machineId, runnerInstance } = session;
  // Again, now that a revocation would find the session: the credential may have died since the upgrade.
  const known = await store.findMachineByCredential({ credentialHash: connection.credentialHash });
  if (known?.machineId !== machineId) {
    connection.close(CLOSE.revoked, 'the credential is not valid any more');
    return;
  }
  const { boot_id: bootId, facts, last_dispatch_number: lastDispatchNumber } = hello;
  const agent = { machineId, runnerInstance, bootId, facts, lastDispatchNumber };
  const joined = await store.machineConnected({ ...agent, now: now() });
  if (joined.outcome === 'removed') {
    connection.close(CLOSE.removed, 'the machine was removed');
    return;
  }
  if (joined.outcome === 'stopping') {
    connection.close(CLOSE.restart, 'the machine is being put to sleep');
    return;
  }
  const { epoch } = joined;
  session.epoch = epoch;
  if (connection.closed) {
    deps.away(machineId, epoch);
    return;
  }
  // An instance that was never here has been sent nothing: no inputs are needed.
  const aboveNumber = known.runnerInstance === runnerInstance ? hello.last_dispatch_number : Number.MAX_SAFE_INTEGER;
  const dispatched = await store.listDispatched({ machineId, aboveNumber });
  const plan = reconcile(
    hello,
    dispatched.map(({ execution }) => execution),
  );
  await markLost(deps, { machineId, epoch }, plan);
  const ended = await endUndelivered(deps, { machineId, epoch }, plan);
  if (connection.closed) return;
  const undelivered = new Set(plan.undelivered);
  const departures = dispatched
    .filter(({ execution }) => undelivered.has(execution) && !ended.has(execution.executionId))
    .map((dispatch) => deps.departure(session, dispatch));
  begin(deps, session, { hello, terms, plan, departures });
}

/** The connection that the handshake is about. */
interface Arriving {
  machineId: string;
  epoch: number;
}

async function markLost(deps: ArrivalDeps, arriving: Arriving, plan: Reconciliation): Promise<void> {
  const byReason = Map.groupBy(plan.lost, ({ reason }) => reason);
  for (const [reason, lost] of byReason) {
    const executionIds = lost.map(({ execution }) => execution.executionId);
    const marked = await deps.store.markLost({ ...arriving, executionIds, reason, now: deps.now() });
    if (marked.outcome === 'applied') marked.ended.forEach(deps.publish);
  }
}

/** Those that were cancelled or expired meanwhile end now, unsent; returns their ids. */
async function endUndelivered(deps: ArrivalDeps, arriving: Arriving, plan: Reconciliation): Promise<Set<string>> {
  if (plan.undelivered.length === 0) return new Set();
  const executionIds = plan.undelivered.map(({ executionId }) => executionId);
  const settled = await deps.store.endUndelivered({ ...arriving, executionIds, now: deps.now() });
  const ended = settled.outcome === 'applied' ? settled.ended : [];
  ended.forEach(deps.publish);
  return new Set(ended.map(({ executionId }) => executionId));
}

/** Welcome, then what did not arrive, in order, then the cancels; no new start can come before these. */
function begin(
  deps: ArrivalDeps,
  session: AgentSession,
  p: { hello: Hello; terms: Terms; plan: Reconciliation; departures: Departure[] },
): void {
  const { connection, machineId, runnerInstance } = session;
  const { clockOffsetMs } = p.terms;
  const ready = deps.equip(session, { hello: p.hello, clockOffsetMs, held: p.plan.held });
  session.ready = ready;
  connection.open();
  connection.send({
    type: 'welcome',
    protocol: p.terms.protocol,
    version: deps.version,
    heartbeat_ms: deps.heartbeatMs,
    window_bytes: AGENT_LIMITS.windowBytes,
    execution_window_bytes: AGENT_LIMITS.executionWindowBytes,
    acks: p.plan.acks,
    forget: p.plan.forget,
  });
  ready.lane.settle(ready.lane.reserve(p.departures.length, 0), p.departures);
  for (const executionId of p.plan.cancel) session.cancels.add(executionId);
  for (const executionId of session.cancels) {
    if (!ready.lane.has(executionId)) continue;
    session.cancels.delete(executionId);
    connection.send({ type: 'cancel', execution_id: executionId, grace_ms: deps.graceMs });
  }
  deps.log.info(
    {
      [LOG_KEY.machineId]: machineId,
      [LOG_KEY.runnerInstance]: runnerInstance,
      [LOG_KEY.version]: p.hello.version,
      [LOG_KEY.held]: p.plan.held.length,
      [LOG_KEY.resent]: p.departures.length,
    },
    'agent connected',
  );
  deps.ready(session);
}

/** What waited for the machine becomes `queued`, a batch a turn; then it is claimed. */
async function wake(deps: ArrivalDeps, session: AgentSession): Promise<void> {
  const limit = AGENT_LIMITS.wakeBatch;
  const { machineId, epoch } = session;
  while (!session.connection.closed && epoch !== undefined) {
    const part = await deps.store.wakeWaiting({ machineId, epoch, limit, now: deps.now() });
    const woken = part.outcome === 'applied' ? part.woken : [];
    woken.forEach(deps.publish);
    if (woken.length < limit) break;
    await nextTurn();
  }
  if (!session.connection.closed) session.ready?.claims.open();
}
