/** Executions, the agent's side: handing them out, and ending those that cannot run. */
import type { Execution } from '../../core/execution.ts';

/** The connection that a machine has: `machineConnected` gave its epoch. What belongs to an earlier one changes nothing. */
export interface Connection {
  runnerInstance: string;
  /** Rises per machine with each connection. */
  epoch: number;
}

/** What only the machine's present connection may do. `stale`: it is no longer that one, so nothing was written. */
export type Fenced<T> = ({ outcome: 'applied' } & T) | { outcome: 'stale' };

/** An execution on its way to an agent, with its sealed input. */
export interface Dispatch {
  execution: Execution;
  sealedInput?: Buffer;
}

/** What every fenced use case says of itself. */
interface OfConnection {
  machineId: string;
  epoch: number;
  now: number;
}

export interface DispatchStore {
  /** Marks the oldest waiting ones (`queued`, not dispatched, not expired) as dispatched to this connection, at most `limit`. */
  claimQueued(p: OfConnection & { limit: number }): Promise<Fenced<{ dispatches: Dispatch[] }>>;
  /** All that is dispatched and not terminal, by rising dispatch number; with sealed input for those above `aboveNumber`. */
  listDispatched(p: { machineId: string; aboveNumber: number }): Promise<Dispatch[]>;
  /** For those whose start never arrived: ended if cancelled or expired meanwhile, else untouched. `ended`: those that ended. */
  endUndelivered(p: OfConnection & { executionIds: readonly string[] }): Promise<Fenced<{ ended: Execution[] }>>;
  /** Ends them as agent_lost; those already terminal are left out of `ended`. */
  markLost(
    p: OfConnection & { executionIds: readonly string[]; reason: string },
  ): Promise<Fenced<{ ended: Execution[] }>>;
  /** Moves up to `limit` of the machine's wake_in_progress ones to queued, oldest first. */
  wakeWaiting(p: OfConnection & { limit: number }): Promise<Fenced<{ woken: Execution[] }>>;
}

/** What ends because its time is over. */
export interface DeadlineStore {
  /** Ends up to `limit` waiting ones whose expires_at has passed; returns them. */
  expireDue(p: { now: number; limit: number }): Promise<Execution[]>;
  /** The earliest expires_at of anything that waits undispatched; undefined when nothing waits. */
  nextExpiry(): Promise<number | undefined>;
  /**
   * Ends as agent_lost up to `limit` dispatched executions of machines that are away since `awaySince` or longer; returns them. That
   * the machine is still away is checked in the transaction that ends them.
   */
  markAbandonedLost(p: { awaySince: number; reason: string; now: number; limit: number }): Promise<Execution[]>;
}
