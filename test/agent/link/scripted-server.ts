/** A scripted server for tests of the link. It accepts or refuses connections and records received messages. */
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { AGENT_PATHS, encodeFrame, type Hello, type ServerFrame, type Welcome } from '../../../src/core/protocol.ts';

const WELCOME: Welcome = {
  type: 'welcome',
  protocol: 1,
  version: '0.0.0',
  heartbeat_ms: 60_000,
  window_bytes: 1 << 22,
  execution_window_bytes: 1 << 20,
  acks: [],
  forget: [],
};

export class ScriptedServer {
  readonly #http: Server;
  readonly #ws = new WebSocketServer({ noServer: true });
  readonly #sockets = new Set<Socket>();
  readonly #links: ServerLink[] = [];
  readonly #arrivals = new EventEmitter();
  /** Statuses with which the next upgrades are refused. */
  readonly refusals: number[] = [];
  readonly authorizations: (string | undefined)[] = [];
  /** Answers of the enrol route: a status and a body, or `cut` to close the connection after the request. */
  readonly enrolAnswers: ({ status: number; body: unknown } | 'cut')[] = [];
  readonly enrolments: Record<string, unknown>[] = [];

  private constructor() {
    this.#http = createServer((request, response) => {
      this.#enrol(request, (answer) => {
        if (answer === 'cut') response.destroy();
        else response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
      });
    });
    this.#http.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#http.on('upgrade', (request, socket: Socket, head) => {
      this.authorizations.push(request.headers.authorization);
      const refusal = this.refusals.shift();
      if (request.url !== AGENT_PATHS.link || refusal !== undefined) {
        socket.end(`HTTP/1.1 ${refusal ?? 404} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
        this.#arrivals.emit('refused');
        return;
      }
      this.#ws.handleUpgrade(request, socket, head, (ws) => {
        this.#links.push(new ServerLink(ws, socket));
        this.#arrivals.emit('link');
      });
    });
  }

  static async listen(): Promise<ScriptedServer> {
    const server = new ScriptedServer();
    server.#http.listen(0, '127.0.0.1');
    await once(server.#http, 'listening');
    return server;
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`);
  }

  /** Waits for the next connection of a link. */
  async nextLink(): Promise<ServerLink> {
    while (this.#links.length === 0) await once(this.#arrivals, 'link');
    return this.#links.shift() as ServerLink;
  }

  async refused(): Promise<void> {
    await once(this.#arrivals, 'refused');
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#http.close();
    await once(this.#http, 'close');
  }

  #enrol(request: IncomingMessage, answer: (answer: { status: number; body: unknown } | 'cut') => void): void {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    request.on('end', () => {
      this.enrolments.push(JSON.parse(text));
      answer(this.enrolAnswers.shift() ?? { status: 500, body: {} });
    });
  }
}

export class ServerLink {
  readonly ws: WebSocket;
  readonly socket: Socket;
  readonly closed: Promise<number>;
  readonly #messages: { data: Buffer; isBinary: boolean }[] = [];
  readonly #arrivals = new EventEmitter();

  constructor(ws: WebSocket, socket: Socket) {
    this.ws = ws;
    this.socket = socket;
    ws.on('error', () => {});
    ws.on('message', (data, isBinary) => {
      this.#messages.push({ data: data as Buffer, isBinary });
      this.#arrivals.emit('message');
    });
    this.closed = once(ws, 'close').then(([code]) => code as number);
  }

  async next(): Promise<{ data: Buffer; isBinary: boolean }> {
    while (this.#messages.length === 0) await once(this.#arrivals, 'message');
    return this.#messages.shift() as { data: Buffer; isBinary: boolean };
  }

  async nextFrame(): Promise<Record<string, unknown>> {
    const { data, isBinary } = await this.next();
    if (isBinary) throw new Error('records, where a frame was expected');
    return JSON.parse(data.toString('utf8'));
  }

  send(frame: ServerFrame): void {
    this.ws.send(encodeFrame(frame));
  }

  /** Waits for the hello, sends the welcome and returns the hello. */
  async welcome(changes: Partial<Welcome> = {}): Promise<Hello> {
    const hello = (await this.nextFrame()) as unknown as Hello;
    this.send({ ...WELCOME, ...changes });
    return hello;
  }
}
