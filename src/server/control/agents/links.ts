/** All links of agents: from the upgrade to the socket's end, each with its session once it has said hello. */
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import type { WebSocket } from 'ws';
import { type AgentFrame, CLOSE, type Hello } from '../../../core/protocol.ts';
import { AgentConnection, type ConnectionEvents } from './connection.ts';
import type { Disconnects } from './disconnects.ts';
import { HeartbeatWheel } from './heartbeat.ts';
import type { AgentRegistry, AgentSession } from './sessions.ts';
import type { StdinRelay } from '../stdin.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';

/** How long a stopping server waits for agents to answer its close, in ms. */
const GOODBYE_MS = 2000;

export interface LinksDeps {
  registry: AgentRegistry;
  disconnects: Disconnects;
  stdin: StdinRelay;
  log: Pick<Logger, 'info' | 'debug'>;
  heartbeatMs: number;
  /** Control frames and pings an agent may send, sustained. */
  framesPerSecond: number;
  /** The session of a connection that said hello; `undefined` where it was refused. */
  receiveHello: (connection: AgentConnection, hello: Hello) => AgentSession | undefined;
}

export class Links implements ConnectionEvents {
  readonly #deps: LinksDeps;
  readonly #wheel: HeartbeatWheel;
  readonly #sessions = new Map<AgentConnection, AgentSession>();
  readonly #sockets = new Set<WebSocket>();
  readonly #beats = new Map<AgentConnection, () => void>();

  constructor(deps: LinksDeps) {
    this.#deps = deps;
    this.#wheel = new HeartbeatWheel(deps.heartbeatMs);
  }

  /** Links whose socket is open, greeted or not. */
  get size(): number {
    return this.#sockets.size;
  }

  /** A machine's agent has been let in. */
  connected(link: { ws: WebSocket; socket: Socket; machineId: string; credentialHash: Buffer }): void {
    const { ws } = link;
    this.#sockets.add(ws);
    ws.once('close', () => this.#sockets.delete(ws));
    const connection = new AgentConnection({ ...link, framesPerSecond: this.#deps.framesPerSecond, events: this });
    this.#beats.set(connection, this.#wheel.add(connection));
  }

  hello(connection: AgentConnection, hello: Hello): void {
    const session = this.#deps.receiveHello(connection, hello);
    if (session !== undefined && !connection.closed) this.#sessions.set(connection, session);
  }

  frame(connection: AgentConnection, frame: Exclude<AgentFrame, Hello>): void {
    const session = this.#sessions.get(connection);
    if (session === undefined) return;
    if (frame.type === 'stdin_ack') {
      this.#deps.stdin.acknowledged(session.machineId, frame);
    } else {
      session.accepting = frame.accepting;
      session.ready?.claims.pump();
    }
  }

  records(connection: AgentConnection, bytes: Buffer): void {
    this.#sessions.get(connection)?.ready?.reports.push(bytes);
  }

  drained(connection: AgentConnection): void {
    const ready = this.#sessions.get(connection)?.ready;
    ready?.acks.flush();
    ready?.claims.pump();
  }

  closed(connection: AgentConnection, why: { code: number; reason: string }): void {
    this.#beats.get(connection)?.();
    this.#beats.delete(connection);
    const session = this.#sessions.get(connection);
    this.#sessions.delete(connection);
    if (session === undefined) {
      // Who was refused as the second of its credential has its line already.
      if (why.code !== CLOSE.duplicate)
        this.#log(connection.machineId, why, 'agent disconnected without having joined');
      return;
    }
    const { machineId, ready } = session;
    ready?.lane.close();
    ready?.claims.close();
    ready?.reports.close();
    // A session that was replaced says nothing of the machine: it has another link.
    if (!this.#deps.registry.release(session)) return;
    if (session.epoch !== undefined) this.#deps.disconnects.note(machineId, session.epoch);
    this.#deps.stdin.linkChanged(machineId);
    this.#log(machineId, why, 'agent disconnected');
  }

  #log(machineId: string, why: { code: number; reason: string }, text: string): void {
    this.#deps.log.info({ [LOG_KEY.machineId]: machineId, ...why }, text);
  }

  /** Sends all agents away, to come back to the server's successor; settles when their sockets are gone. */
  async stop(): Promise<void> {
    this.#wheel.stop();
    for (const connection of [...this.#beats.keys()]) connection.close(CLOSE.restart, 'the server stops');
    const open = [...this.#sockets];
    const timer = setTimeout(() => open.forEach((ws) => void ws.terminate()), GOODBYE_MS);
    await Promise.all(open.map(gone));
    clearTimeout(timer);
  }
}

function gone(ws: WebSocket): Promise<void> {
  if (ws.readyState === ws.CLOSED) return Promise.resolve();
  return new Promise((resolve) => void ws.once('close', () => resolve()));
}
