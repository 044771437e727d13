/**
 * An HTTP client of the API for tests. It never retries, does not throw for an error status, and returns the whole answer. Each
 * answer is checked against the OpenAPI document of the server.
 */
import { checkConformance } from './conformance.ts';

export interface WireExecution {
  execution_id: string;
  machine_id: string;
  status: 'wake_in_progress' | 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled' | 'expired';
  command: string[];
  created_at: string;
  expires_at: string;
  started_at?: string;
  completed_at?: string;
  cwd?: string;
  env_keys?: string[];
  exit_code?: number;
  signal?: number;
  error_code?: string;
  error_message?: string;
  retry_after_ms?: number;
  stdout_bytes?: number;
  stderr_bytes?: number;
  stdout_truncated?: boolean;
  stderr_truncated?: boolean;
}

export interface WireEvent {
  sequence: number;
  type: 'lifecycle' | 'stdout' | 'stderr';
  at: string;
  chunk?: string;
  status?: WireExecution['status'];
  exit_code?: number;
  signal?: number;
  error_code?: string;
  error_message?: string;
}

export interface WireOutput {
  execution_id: string;
  stdout: string;
  stderr: string;
  stdout_bytes: number;
  stdout_tail?: string;
  stderr_tail?: string;
  stderr_bytes: number;
  stdout_truncated: boolean;
  stderr_truncated: boolean;
}

export interface WirePage<T> {
  items: T[];
  next_cursor?: string;
}

export interface WireProblem {
  error_code?: string;
  message?: string;
  retryable?: boolean;
  retry_after_ms?: number;
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  instance?: string;
  errors?: { location: string; message: string; value?: unknown }[];
}

export interface Answer<T = unknown> {
  status: number;
  headers: Headers;
  bytes: Buffer;
  /** The body as JSON; undefined if it is not JSON. */
  json: T;
}

export interface Sent {
  query?: Record<string, string | number | boolean>;
  headers?: Record<string, string>;
  /** Sent as JSON, except bytes and strings, which are sent unchanged. */
  body?: unknown;
  signal?: AbortSignal;
}

/** The request fields that create an execution (contract §1 and §4). */
export interface CreateBody {
  command: string[];
  stdin?: string;
  stdin_encoding?: 'base64';
  stdin_open?: boolean;
  env?: Record<string, string>;
  cwd?: string;
  timeout_ms?: number;
  start_within_ms?: number;
  user?: string;
  callback_url?: string;
  output_mode?: 'stream';
  tty?: { width: number; height: number };
  limits?: { memory_bytes?: number; cpus?: number; pids?: number };
}

const TERMINAL = new Set(['succeeded', 'failed', 'cancelled', 'expired']);
/** The time limit of each wait, ms. A wait that reaches it is an error. */
const DEADLINE_MS = 90_000;

export class Client {
  readonly url: string;
  readonly key: string | undefined;

  constructor(url: string, key?: string) {
    this.url = url;
    this.key = key;
  }

  /** A client of the same server with another key, or with none. */
  with(key: string | undefined): Client {
    return new Client(this.url, key);
  }

  /** Sends a request and returns the response with an unread body, for streams. */
  async open(method: string, path: string, sent: Sent = {}): Promise<Response> {
    const response = await this.#send(method, path, sent);
    await this.#check(method, path, response);
    return response;
  }

  async #send(method: string, path: string, sent: Sent): Promise<Response> {
    const url = new URL(path, this.url);
    for (const [name, value] of Object.entries(sent.query ?? {})) url.searchParams.set(name, String(value));
    const raw = typeof sent.body === 'string' || sent.body instanceof Uint8Array;
    const headers: Record<string, string> = this.key === undefined ? {} : { authorization: `Bearer ${this.key}` };
    if (sent.body !== undefined && !raw) headers['content-type'] = 'application/json';
    return fetch(url, {
      method,
      headers: { ...headers, ...sent.headers },
      ...(sent.body === undefined
        ? {}
        : { body: raw ? (sent.body as string | Uint8Array<ArrayBuffer>) : JSON.stringify(sent.body) }),
      signal: sent.signal ?? AbortSignal.timeout(DEADLINE_MS + 15_000),
    });
  }

  async request<T = unknown>(method: string, path: string, sent: Sent = {}): Promise<Answer<T>> {
    const response = await this.#send(method, path, sent);
    const bytes = Buffer.from(await response.arrayBuffer());
    await this.#check(method, path, response, bytes);
    return { status: response.status, headers: response.headers, bytes, json: asJson(bytes) as T };
  }

  #check(method: string, path: string, { status, headers }: Response, body?: Buffer): Promise<void> {
    const answer = {
      method,
      path: new URL(path, this.url).pathname,
      status,
      header: (name: string) => headers.get(name),
    };
    return checkConformance(body === undefined ? answer : { ...answer, body }, async () => {
      const document = await fetch(new URL('/openapi.json', this.url)).catch(() => undefined);
      return document?.json();
    });
  }

  get<T = unknown>(path: string, query: Sent['query'] = {}, headers: Record<string, string> = {}): Promise<Answer<T>> {
    return this.request<T>('GET', path, { query, headers });
  }

  /** Sends a request and returns the JSON of the answer. Throws with the whole answer if the status is an error. */
  async ask<T>(method: string, path: string, sent: Sent = {}): Promise<T> {
    const answer = await this.request<T>(method, path, sent);
    if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.status} ${answer.bytes.toString()}`);
    return answer.json;
  }

  machine(machineId: string): MachineClient {
    return new MachineClient(this, machineId);
  }
}

/** The executions of one machine. */
export class MachineClient {
  readonly client: Client;
  readonly machineId: string;
  readonly path: string;

  constructor(client: Client, machineId: string) {
    this.client = client;
    this.machineId = machineId;
    this.path = `/v1/machines/${machineId}/executions`;
  }

  at(executionId: string, below = ''): string {
    return `${this.path}/${executionId}${below}`;
  }

  create(body: CreateBody, query: Sent['query'] = {}): Promise<WireExecution> {
    return this.client.ask('POST', this.path, { body, query });
  }

  read(executionId: string, query: Sent['query'] = {}): Promise<WireExecution> {
    return this.client.ask('GET', this.at(executionId), { query });
  }

  cancel(executionId: string, query: Sent['query'] = {}): Promise<WireExecution> {
    return this.client.ask('DELETE', this.at(executionId), { query });
  }

  output(executionId: string, query: Sent['query'] = {}): Promise<WireOutput> {
    return this.client.ask('GET', this.at(executionId, '/output'), { query });
  }

  async raw(executionId: string, stream: 'stdout' | 'stderr' = 'stdout', query: Sent['query'] = {}): Promise<Buffer> {
    const answer = await this.client.get(this.at(executionId, `/output/${stream}`), query);
    if (answer.status !== 200) throw new Error(`raw ${stream}: ${answer.status} ${answer.bytes.toString()}`);
    return answer.bytes;
  }

  /** Waits until the execution has ended and returns it. */
  async ended(executionId: string): Promise<WireExecution> {
    const until = performance.now() + DEADLINE_MS;
    for (;;) {
      const execution = await this.read(executionId, { wait_ms: 20_000 });
      if (TERMINAL.has(execution.status)) return execution;
      if (performance.now() > until) throw new Error(`still ${execution.status}: ${JSON.stringify(execution)}`);
    }
  }

  /** Creates an execution and waits for its end. */
  async run(body: CreateBody): Promise<WireExecution> {
    const execution = await this.create(body, { wait_ms: 20_000 });
    return TERMINAL.has(execution.status) ? execution : this.ended(execution.execution_id);
  }

  /** Runs a shell line to its end. */
  sh(line: string, more: Omit<CreateBody, 'command'> = {}): Promise<WireExecution> {
    return this.run({ command: ['/bin/sh', '-c', line], ...more });
  }

  /** Waits until stdout contains `text`, such as a line that tells that the command is ready. */
  async printed(executionId: string, text: string): Promise<void> {
    let cursor: string | undefined;
    let seen = '';
    const until = performance.now() + DEADLINE_MS;
    while (!seen.includes(text)) {
      const page = await this.page(executionId, { wait_ms: 5_000, ...(cursor === undefined ? {} : { cursor }) });
      for (const event of page.items) if (event.type === 'stdout') seen += event.chunk ?? '';
      if (seen.includes(text)) return;
      if (page.next_cursor === undefined || performance.now() > until) {
        throw new Error(`${JSON.stringify(text)} is not on stdout, only ${JSON.stringify(seen.slice(-500))}`);
      }
      cursor = page.next_cursor;
    }
  }

  page(executionId: string, query: Sent['query'] = {}): Promise<WirePage<WireEvent>> {
    return this.client.ask('GET', this.at(executionId, '/events'), { query });
  }

  /** Reads all pages of the log of an execution that has ended. */
  async events(executionId: string, query: Sent['query'] = {}): Promise<WireEvent[]> {
    const events: WireEvent[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.page(executionId, { ...query, ...(cursor === undefined ? {} : { cursor }) });
      events.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor !== undefined);
    return events;
  }
}

export function isTerminal(status: string): boolean {
  return TERMINAL.has(status);
}

function asJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}
