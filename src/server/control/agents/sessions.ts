/** The agent sessions of this server: one for each machine. Commands are addressed by machine. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { WebSocket } from 'ws';
import { isTerminal } from '../../../core/execution.ts';
import { CLOSE } from '../../../core/protocol.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';
import type { Execution } from '../../../store/store.ts';
import type { CommitListener } from '../live/commit-notifier.ts';
import { HeartbeatWheel } from './heartbeat.ts';
import { AgentSession } from './session.ts';
import type { AdmittedAgent, SessionDeps } from './session-deps.ts';

/** Time for which a stopping server waits for agents to answer its close, in ms. */
const STOP_TIMEOUT_MS = 2000;
const DISCONNECT_RETRY_MS = 1000;
/** Time between two sessions that are closed one after the other. */
const MAX_PAUSE_MS = 50;

/** All agent sessions of this server. */
export class AgentSessions implements CommitListener {
  readonly #deps: SessionDeps;
  readonly #log: Pick<Logger, 'info' | 'warn'>;
  readonly #wheel: HeartbeatWheel;
  /** All sessions with an open socket, before or after hello; each with the removal from the heartbeats. */
  readonly #open = new Map<AgentSession, { ws: WebSocket; stopBeating: () => void; disconnected: Promise<void> }>();
  /** Sessions after their hello, by machine; at most one for each. */
  readonly #ofMachine = new Map<string, AgentSession>();
  /** Disconnects that are being written, and machines (with the ended epoch) whose disconnect could not be written yet. */
  readonly #writing = new Set<Promise<void>>();
  readonly #unwritten = new Map<string, number>();
  #retry: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(deps: SessionDeps) {
    this.#deps = deps;
    this.#log = deps.log;
    this.#wheel = new HeartbeatWheel(deps.settings.heartbeatMs);
  }

  /** Connections of agents, ready or not. */
  get size(): number {
    return this.#open.size;
  }

  /** Returns the machine's session, ready or not. */
  get(machineId: string): AgentSession | undefined {
    return this.#ofMachine.get(machineId);
  }

  /** Returns the machine's session if commands may be sent to its agent. */
  ready(machineId: string): AgentSession | undefined {
    const session = this.#ofMachine.get(machineId);
    return session?.phase === 'ready' ? session : undefined;
  }

  /** Machine and epoch of all sessions that the store has as their machine's connection. */
  connections(): [machineId: string, epoch: number][] {
    return [...this.#ofMachine.values()]
      .filter(({ epoch }) => epoch > 0)
      .map(({ machineId, epoch }) => [machineId, epoch]);
  }

  /** Machines with a session, ready or not. */
  machineIds(): Iterable<string> {
    return this.#ofMachine.keys();
  }

  /** Starts the session of an authenticated agent. */
  admit(agent: AdmittedAgent): void {
    const session = new AgentSession(this.#deps, this, agent);
    const disconnected = new Promise<void>((resolve) => {
      agent.ws.once('close', () => {
        this.#open.delete(session);
        resolve();
      });
    });
    this.#open.set(session, { ws: agent.ws, stopBeating: this.#wheel.add(session), disconnected: disconnected });
  }

  /** Makes a session that of its machine, in place of one of the same runner instance. Closes it if another instance is connected. */
  takePlace(session: AgentSession): boolean {
    const { machineId, runnerInstance } = session;
    const holder = this.#ofMachine.get(machineId);
    if (holder !== undefined && holder.runnerInstance !== runnerInstance) {
      this.#log.warn(
        {
          [LOG_KEY.machineId]: machineId,
          [LOG_KEY.runnerInstance]: runnerInstance,
          [LOG_KEY.connected]: holder.runnerInstance,
        },
        'second agent refused: it has the credential of a connected one; give each machine its own',
      );
      holder.probe();
      session.close(CLOSE.duplicate, 'another runner instance is connected with this credential');
      return false;
    }
    this.#ofMachine.set(machineId, session);
    this.#deps.placeChanged(machineId);
    holder?.close(CLOSE.replaced, 'this instance has a new connection');
    return true;
  }

  /** Handles the end of a session. The end of a replaced session does not change the machine, which has another session. */
  closed(session: AgentSession, cause: { code: number; reason: string }): void {
    const { machineId } = session;
    this.#open.get(session)?.stopBeating();
    if (this.#ofMachine.get(machineId) !== session) {
      // A session that was refused as the second of its credential is logged already.
      const isLogged = cause.code === CLOSE.duplicate || cause.code === CLOSE.replaced;
      if (!isLogged)
        this.#log.info({ [LOG_KEY.machineId]: machineId, ...cause }, 'agent disconnected without having joined');
      return;
    }
    this.#ofMachine.delete(machineId);
    this.#deps.placeChanged(machineId);
    if (session.epoch > 0) this.writeDisconnect(session);
    this.#deps.stdin.sessionChanged(machineId);
    this.#log.info({ [LOG_KEY.machineId]: machineId, ...cause }, 'agent disconnected');
  }

  /** Disconnects the agent of a machine that is put to sleep. Settles when the disconnect is written. */
  async detach(machineId: string): Promise<void> {
    this.#ofMachine.get(machineId)?.close(CLOSE.restart, 'the machine is being put to sleep');
    await Promise.all(this.#writing);
  }

  /** Frees the slot of an execution that has ended. */
  committed({ machineId, executionId, status }: Execution): void {
    if (isTerminal(status)) this.#ofMachine.get(machineId)?.executionEnded(executionId);
  }

  /** Closes all present sessions; many of them evenly over `spreadMs`. Settles when each has been closed. */
  async closeAll(code: number, reason: string, spreadMs: number): Promise<void> {
    const open = [...this.#open.keys()];
    const pauseMs = Math.min(MAX_PAUSE_MS, spreadMs / Math.max(1, open.length));
    for (const [index, session] of open.entries()) {
      if (index > 0 && spreadMs > 0) await delay(pauseMs);
      session.close(code, reason);
    }
  }

  /** Closes `count` of the present sessions, those that were opened first. */
  closeSome(count: number, code: number, reason: string): void {
    for (const session of [...this.#open.keys()].slice(0, count)) session.close(code, reason);
  }

  /**
   * Disconnects all agents, which reconnect to the server's successor. Settles when their sockets are closed and the disconnects written.
   */
  async stop(): Promise<void> {
    this.#wheel.stop();
    const open = [...this.#open];
    void this.closeAll(CLOSE.restart, 'the server stops', 0);
    const timer = setTimeout(() => {
      for (const [, { ws }] of open) ws.terminate();
    }, STOP_TIMEOUT_MS);
    await Promise.all(open.map(([, { disconnected }]) => disconnected));
    clearTimeout(timer);
    await Promise.all(this.#writing);
    this.#stopped = true;
    clearTimeout(this.#retry);
  }

  /** Writes that the agent is offline, once the store can be written. If the agent is back by then, the write is stale by its epoch. */
  writeDisconnect({ machineId, epoch }: Pick<AgentSession, 'machineId' | 'epoch'>): void {
    const { store, now } = this.#deps;
    const write = store.machineDisconnected({ machineId, epoch, now: now() }).then(
      () => undefined,
      () => {
        if (this.#stopped) return;
        this.#unwritten.set(machineId, epoch);
        this.#retry ??= setTimeout(() => this.#writeAgain(), DISCONNECT_RETRY_MS);
      },
    );
    this.#writing.add(write);
    void write.then(() => this.#writing.delete(write));
  }

  #writeAgain(): void {
    this.#retry = undefined;
    const unwritten = [...this.#unwritten];
    this.#unwritten.clear();
    for (const [machineId, epoch] of unwritten) this.writeDisconnect({ machineId, epoch });
  }
}
