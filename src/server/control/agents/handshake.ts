/** The handshake: from an agent's hello to a ready session, with the executions that are lost and those that are sent again. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CLOSE, type Hello, PROTOCOL_VERSION } from '../../../core/protocol.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';
import { type Dispatch, type Execution, StoreUnavailableError } from '../../../store/store.ts';
import { AGENT_LIMITS } from './connection/limits.ts';
import { type Reconciliation, reconcile } from './reconcile.ts';
import type { AgentSession } from './session.ts';
import type { SessionDeps } from './session-deps.ts';
import type { AgentSessions } from './sessions.ts';

/** Log messages of a handshake that ended without a welcome. */
const UNAVAILABLE = 'an agent was disconnected, because the database is unavailable; it tries again';
const FAILED =
  'reconciliation failed, and the agent was disconnected; it tries again: an error of the server; report it';

/** Answers a hello. Never rejects: a session that cannot become ready is closed. */
export async function handshake(
  deps: SessionDeps,
  sessions: AgentSessions,
  session: AgentSession,
  hello: Hello,
): Promise<void> {
  const protocol = commonVersion(hello.protocol);
  if (protocol === undefined) {
    const { min, max } = PROTOCOL_VERSION;
    session.close(CLOSE.version, `this server speaks protocol versions ${min} to ${max}`);
    return;
  }
  if (!sessions.takePlace(session)) return;
  session.join();
  try {
    const outcome = await deps.handshakes.run(async () => {
      if (session.phase === 'closed') return;
      const hasWaiting = await becomeReady(deps, session, hello, protocol);
      if (hasWaiting) await wakeWaiting(deps, session);
      if (session.phase === 'ready') session.startClaiming({ hasWaiting });
    });
    if (outcome === 'refused') session.close(CLOSE.restart, 'too many agents connect at once');
  } catch (cause) {
    if (cause instanceof StoreUnavailableError) session.log('warn', { err: cause }, UNAVAILABLE);
    else session.log('error', { err: cause }, FAILED);
    session.close(CLOSE.restart, 'the store is unavailable');
  }
}

/** Returns the highest protocol version that both ends speak. */
function commonVersion(offered: Hello['protocol']): number | undefined {
  const highest = Math.min(offered.max, PROTOCOL_VERSION.max);
  return highest >= Math.max(offered.min, PROTOCOL_VERSION.min) ? highest : undefined;
}

/** All steps up to the welcome. Stops if the session closes meanwhile. Returns whether executions wait for the machine. */
async function becomeReady(deps: SessionDeps, session: AgentSession, hello: Hello, protocol: number): Promise<boolean> {
  const { store, now } = deps;
  const { machineId, runnerInstance, credentialHash } = session;
  const { boot_id: bootId, facts, labels, last_dispatch_number: lastDispatchNumber } = hello;
  const host = hello.host && { ...hello.host, agentVersion: hello.version };
  const described = { facts, ...(host === undefined ? {} : { host }), ...(labels === undefined ? {} : { labels }) };
  const held = hello.held.map(({ execution_id: executionId }) => executionId);
  // The credential is checked again, now that a revocation would find the session: it may have been revoked since the upgrade.
  const agent = { machineId, runnerInstance, credentialHash, bootId, lastDispatchNumber, held, ...described };
  const joined = await store.machineConnected({ ...agent, now: now() });
  if (joined.outcome !== 'applied') {
    refuse(session, joined.outcome);
    // The probe ends the other connection if it is half open. Then the next hello is accepted.
    if (joined.outcome === 'held') await deps.probe(machineId);
    return false;
  }
  session.connectedAs(joined.epoch);
  tell(deps, joined.ended ?? []);
  if (session.phase === 'closed') return false;
  // An instance that has not connected before was sent nothing, so no inputs are needed.
  const aboveNumber = joined.isSameInstance ? lastDispatchNumber : Number.MAX_SAFE_INTEGER;
  const dispatched = await store.listDispatched({ machineId, aboveNumber });
  const plan = reconcile(
    hello,
    dispatched.map(({ execution }) => execution),
  );
  await endLost(deps, session, plan);
  const resend = await undelivered(deps, session, plan, dispatched);
  if (session.phase !== 'joining') return false;
  session.welcome({ protocol, hello, plan, resend });
  // Output that was released while the agent was offline, or that it was told over a connection that broke.
  for (const execution of plan.held) await session.limitOutput(execution);
  return joined.hasWaiting;
}

/** Closes a session whose machine may not have it. */
function refuse(session: AgentSession, outcome: 'removed' | 'credential_invalid' | 'stopping' | 'held'): void {
  switch (outcome) {
    case 'removed':
      session.close(CLOSE.removed, 'the machine was removed');
      break;
    case 'credential_invalid':
      session.close(CLOSE.revoked, 'the credential is not valid any more');
      break;
    case 'stopping':
      session.close(CLOSE.restart, 'the machine is being put to sleep');
      break;
    case 'held':
      session.close(CLOSE.duplicate, 'another runner instance is connected with this credential');
      break;
  }
}

/**
 * Ends executions of a machine whose outcome cannot be known. Ended executions stay unchanged, and all do if the machine has another epoch
 * by now. Rejects if the store cannot be written; then the executions stay dispatched.
 */
export async function markLost(
  { store, commits, now }: Pick<SessionDeps, 'store' | 'commits' | 'now'>,
  connection: { machineId: string; epoch: number },
  executions: readonly Execution[],
  reason: string,
): Promise<void> {
  const { machineId, epoch } = connection;
  const executionIds = executions.map(({ executionId }) => executionId);
  const marked = await store.markLost({ machineId, epoch, executionIds, reason, now: now() });
  if (marked.outcome === 'applied') for (const ended of marked.ended) commits.committed(ended);
}

async function endLost(deps: SessionDeps, session: AgentSession, plan: Reconciliation): Promise<void> {
  const byReason = Map.groupBy(plan.lost, ({ reason }) => reason);
  for (const [reason, lost] of byReason) {
    await markLost(
      deps,
      session,
      lost.map(({ execution }) => execution),
      reason,
    );
  }
}

/** Returns the executions to send again. Those that were cancelled or expired meanwhile end now, unsent. */
async function undelivered(
  deps: SessionDeps,
  { machineId, epoch }: AgentSession,
  plan: Reconciliation,
  dispatched: readonly Dispatch[],
): Promise<Dispatch[]> {
  if (plan.undelivered.length === 0) return [];
  const executionIds = plan.undelivered.map(({ executionId }) => executionId);
  const undelivered = await deps.store.endUndelivered({ machineId, epoch, executionIds, now: deps.now() });
  if (undelivered.outcome === 'stale') return [];
  tell(deps, undelivered.ended);
  const open = new Set(executionIds);
  for (const { executionId } of undelivered.ended) open.delete(executionId);
  return dispatched.filter(({ execution }) => open.has(execution.executionId));
}

/** Moves executions that waited for the machine to `queued`, one batch per turn. */
async function wakeWaiting(deps: SessionDeps, session: AgentSession): Promise<void> {
  const limit = AGENT_LIMITS.wakeBatch;
  while (session.phase === 'ready') {
    const { machineId, epoch } = session;
    const part = await deps.store.wakeWaiting({ machineId, epoch, limit, now: deps.now() });
    if (part.outcome === 'stale') break;
    tell(deps, part.woken);
    if (part.woken.length < limit) break;
    await nextTurn();
  }
}

function tell({ commits }: SessionDeps, executions: readonly Execution[]): void {
  for (const execution of executions) commits.committed(execution);
}

/** The log fields of an agent that has connected. `held`: its executions; `resent`: starts that are sent again. */
export function connectedFields(hello: Hello, held: number, resent: number): Record<string, string | number> {
  return {
    [LOG_KEY.runnerInstance]: hello.runner_instance,
    [LOG_KEY.version]: hello.version,
    [LOG_KEY.held]: held,
    [LOG_KEY.resent]: resent,
  };
}
