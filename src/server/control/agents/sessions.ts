/** Which machine's agent is connected here: one link a machine, and what is being written for it. */
import type { Acks } from './acks.ts';
import type { Claims } from './queue-claimer.ts';
import type { AgentConnection } from './connection.ts';
import type { Lane } from './start-queue.ts';
import type { ReportIntake } from './report-intake.ts';

export interface ReadyParts {
  readonly lane: Lane;
  readonly claims: Claims;
  readonly reports: ReportIntake;
  readonly acks: Acks;
}

/** An agent from its hello to its close. */
export interface AgentSession {
  readonly machineId: string;
  readonly runnerInstance: string;
  readonly connection: AgentConnection;
  /** Of its connection, from the moment on when the store has it as the machine's. */
  epoch?: number;
  /** From the welcome on. */
  ready?: ReadyParts;
  /** Whether it takes new work, as it said last. */
  accepting: boolean;
  /** Cancels for executions whose start has not gone out yet: told right behind it. */
  readonly cancels: Set<string>;
}

export type Claim =
  | { outcome: 'first' }
  /** The same runner instance came back: it takes over, and this is the link to close. */
  | { outcome: 'taken_over'; from: AgentSession }
  /** Another runner instance is connected: it stays. */
  | { outcome: 'refused'; holder: AgentSession };

export class AgentRegistry {
  readonly #sessions = new Map<string, AgentSession>();
  readonly #writes = new Map<string, Set<Promise<unknown>>>();

  get size(): number {
    return this.#sessions.size;
  }

  /** The connected session of the machine, ready or not. */
  get(machineId: string): AgentSession | undefined {
    return this.#sessions.get(machineId);
  }

  all(): AgentSession[] {
    return [...this.#sessions.values()];
  }

  /** Makes it the machine's session, unless another instance is. */
  claim(session: AgentSession): Claim {
    const holder = this.#sessions.get(session.machineId);
    if (holder !== undefined && holder.runnerInstance !== session.runnerInstance) return { outcome: 'refused', holder };
    this.#sessions.set(session.machineId, session);
    return holder === undefined ? { outcome: 'first' } : { outcome: 'taken_over', from: holder };
  }

  /** Whether it was the machine's session: then the machine is away now. */
  release(session: AgentSession): boolean {
    if (this.#sessions.get(session.machineId) !== session) return false;
    return this.#sessions.delete(session.machineId);
  }

  /** Counts `write` among what the next session of the machine has to wait for. */
  track<T>(machineId: string, write: Promise<T>): Promise<T> {
    const writes = this.#writes.get(machineId) ?? new Set();
    this.#writes.set(machineId, writes.add(write));
    const done = (): void => {
      writes.delete(write);
      if (writes.size === 0 && this.#writes.get(machineId) === writes) this.#writes.delete(machineId);
    };
    write.then(done, done);
    return write;
  }

  /** Settles when all writes tracked so far have: what sessions before had in hand is then in the store. */
  async settled(machineId: string): Promise<void> {
    await Promise.allSettled(this.#writes.get(machineId) ?? []);
  }

  /** The same for all machines. */
  async allSettled(): Promise<void> {
    await Promise.allSettled([...this.#writes.values()].flatMap((writes) => [...writes]));
  }
}
