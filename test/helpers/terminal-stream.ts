/** A client of the stream of a terminal in the format of the official SDKs: JSON text frames with base64. */
import WebSocket from 'ws';

interface Message {
  type: string;
  data?: string;
  error_code?: string;
}

export class TerminalStream {
  readonly messages: Message[] = [];
  /** The output received so far. */
  output = Buffer.alloc(0);
  closed: { code: number; reason: string } | undefined;
  readonly socket: WebSocket;
  #waiters: (() => void)[] = [];

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (isBinary) this.output = Buffer.concat([this.output, data]);
      else {
        const message = JSON.parse(data.toString()) as Message;
        this.messages.push(message);
        if (message.type === 'output')
          this.output = Buffer.concat([this.output, Buffer.from(message.data ?? '', 'base64')]);
      }
      this.#wake();
    });
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.#wake();
    });
    socket.on('error', () => {});
  }

  /** Opens the stream. Rejects with the body of the answer if the server refuses the upgrade. */
  static open(url: string, key: string | undefined): Promise<TerminalStream> {
    const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
    const socket = new WebSocket(url.replace(/^http/, 'ws'), { headers });
    const stream = new TerminalStream(socket);
    return new Promise((resolve, reject) => {
      socket.once('open', () => resolve(stream));
      socket.once('unexpected-response', (_request, response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => {
          body += chunk.toString();
        });
        response.on('end', () => reject(Object.assign(new Error(body), { status: response.statusCode })));
      });
    });
  }

  type(text: string): void {
    this.socket.send(JSON.stringify({ type: 'input', data: Buffer.from(text).toString('base64') }));
  }

  /** Tells the server that all bytes before this offset were taken. */
  acknowledge(offset: number): void {
    this.socket.send(JSON.stringify({ type: 'ack', offset }));
  }

  resize(width: number, height: number): void {
    this.socket.send(JSON.stringify({ type: 'resize', width, height }));
  }

  /** Waits until the output contains `text`. */
  printed(text: string): Promise<void> {
    return this.until(`${JSON.stringify(text)} in ${this.output.toString().slice(-300)}`, () =>
      this.output.includes(text),
    );
  }

  async until(what: string, condition: () => boolean, deadlineMs = 45_000): Promise<void> {
    const timeout = Promise.withResolvers<never>();
    const timer = setTimeout(() => timeout.reject(new Error(`not within ${deadlineMs} ms: ${what}`)), deadlineMs);
    try {
      while (!condition()) {
        await Promise.race([new Promise<void>((resolve) => this.#waiters.push(resolve)), timeout.promise]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async end(): Promise<{ code: number; reason: string }> {
    await this.until('the close of the stream', () => this.closed !== undefined);
    return this.closed ?? { code: 0, reason: '' };
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }
}
