/** What the HTTP routes ask of the control plane (control.ts), answered with its parts. */
import { ApiError } from '../../core/errors.ts';
import { isTerminal } from '../../core/execution.ts';
import { CLOSE } from '../../core/protocol.ts';
import type { Execution, Store } from '../../store/store.ts';
import type { ControlPlane } from './control.ts';
import type { Dispatcher } from './dispatch.ts';
import type { Live } from './live.ts';
import type { AgentRegistry } from './agents/sessions.ts';
import type { StdinRelay } from './stdin.ts';

export interface RequestParts {
  store: Store;
  registry: AgentRegistry;
  live: Live;
  dispatcher: Dispatcher;
  stdin: StdinRelay;
  publish: (execution: Execution) => void;
  now: () => number;
  graceMs: number;
}

export function answerRequests(parts: RequestParts): ControlPlane {
  const { store, registry, live, dispatcher, stdin, publish, now } = parts;
  return {
    create: (request) => dispatcher.create(request),
    async cancel(p) {
      const cancelled = await store.requestCancel({ ...p, now: now() });
      if (cancelled.outcome === 'applied') {
        publish(cancelled.execution);
        tellCancel(parts, cancelled.execution);
      }
      return cancelled;
    },
    signal({ execution, signal }) {
      if (isTerminal(execution.status)) return 'stale';
      if (execution.status !== 'running') return 'not_running';
      const session = registry.get(execution.machineId);
      if (session?.ready === undefined) return 'agent_away';
      session.connection.send({ type: 'signal', execution_id: execution.executionId, signal });
      return 'sent';
    },
    async writeStdin(p) {
      const written = await stdin.write(p);
      if (written.outcome !== 'busy') return written;
      throw new ApiError('RATE_LIMITED', { message: 'Too many requests write to this stdin at once.' });
    },
    subscribe: (executionId, listener) => live.subscribe(executionId, listener),
    waitForEnd: (p) => live.waitForEnd(p),
    waitForEvents: (p) => live.waitForEvents(p),
    async removeMachine(p) {
      const removed = await store.removeMachine({ ...p, now: now() });
      if (removed.outcome !== 'removed') return removed;
      closeRemoved(registry, p.machineId);
      removed.ended.forEach(publish);
      return { outcome: 'removed', machine: removed.machine };
    },
    credentialChanged(machineId) {
      registry.get(machineId)?.connection.close(CLOSE.revoked, 'the credential is not valid any more');
    },
    rotateCredential({ machineId, joinToken }) {
      const session = registry.get(machineId);
      if (session?.ready === undefined) return false;
      session.connection.send({ type: 'rotate', join_token: joinToken });
      return true;
    },
    isConnected: (machineId) => registry.get(machineId)?.ready !== undefined,
  };
}

/** Its agent is told now, or right behind the start where that has not gone out yet, or when it comes back. */
function tellCancel({ registry, graceMs }: RequestParts, execution: Execution): void {
  if (isTerminal(execution.status)) return;
  const session = registry.get(execution.machineId);
  if (session === undefined) return;
  const { executionId } = execution;
  if (session.ready?.lane.has(executionId)) {
    session.connection.send({ type: 'cancel', execution_id: executionId, grace_ms: graceMs });
  } else session.cancels.add(executionId);
}

/** What runs there is to be killed; then the link goes, and the agent's credential is dead already. */
function closeRemoved(registry: AgentRegistry, machineId: string): void {
  const session = registry.get(machineId);
  if (session === undefined) return;
  const running = session.ready?.lane.inFlight() ?? [];
  if (running.length > 0) session.connection.send({ type: 'forget', execution_ids: running });
  session.connection.close(CLOSE.removed, 'the machine was removed');
}
