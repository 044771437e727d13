/** The app on a real store with a stub of the control plane. Tests submit the reports of agents. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nanoid } from 'nanoid';
import { type Logger, pino } from 'pino';
import { type EndedPayload, REPORT_KIND, type ReportKind } from '../../../src/core/report.ts';
import { createOpenIdConnect } from '../../../src/server/http/authentication/open-id-connect.ts';
import { type AppDeps, buildApp } from '../../../src/server/http/app/app.ts';
import { readServerConfig, type ServerConfig } from '../../../src/server/config.ts';
import type { ControlPlane, CreateRequest } from '../../../src/server/control/control.ts';
import { buildSchedules } from '../../../src/server/control/schedules/schedules.ts';
import { BatchRunner } from '../../../src/server/control/batches/batch-runner.ts';
import { Lifecycle } from '../../../src/server/control/lifecycle/lifecycle.ts';
import { MachineFeed } from '../../../src/server/control/lifecycle/machine-feed.ts';
import type { Providers } from '../../../src/server/control/lifecycle/provider.ts';
import type { App } from '../../../src/server/http/http-context.ts';
import { Live } from '../../../src/server/control/live/live.ts';
import { serverKeysFrom } from '../../../src/server/seal.ts';
import type { Execution, Store } from '../../../src/store/store.ts';
import { checkConformance } from '../../helpers/conformance.ts';
import { SUCCEEDED } from '../../helpers/ended-payload.ts';
import { openTestStore } from '../../helpers/test-store.ts';

export const ADMIN_KEY = 'xpk_the-admin-key-of-these-tests';
export const MACHINE = 'dm-one';
const RUNNER = 'runner-1';
/** The limits of a server, except the maximum size of the file. */
const ARTIFACTS = { maxBytes: 1 << 20, quotaBytes: 10 << 20, retentionMs: 30 * 86_400_000 };
const keys = serverKeysFrom(Buffer.alloc(32, 7));

export interface HttpFixture extends AsyncDisposable {
  app: App;
  store: Store;
  control: ControlPlane;
  config: ServerConfig;
  /** The executions that routes have passed to the control plane. */
  created: CreateRequest[];
  log: string[];
  /** Sends a request such as `GET /path` with the admin key. Parses the body of the answer. */
  call(method: Method, path: string, options?: CallOptions): Promise<Answer>;
  create(body?: Record<string, unknown>): Promise<string>;
  /** Commits and publishes reports of the agent. */
  report(executionId: string, ...reports: Report[]): Promise<void>;
  start(executionId: string): Promise<void>;
  finish(executionId: string, end?: Partial<EndedPayload>): Promise<void>;
  /** Listens on a free port. Returns the URL. */
  listen(): Promise<string>;
}

type Method = 'GET' | 'POST' | 'DELETE' | 'PUT' | 'HEAD' | 'OPTIONS' | 'PATCH';
type Report = { kind: ReportKind; payload?: Buffer | string | object };
interface CallOptions {
  body?: unknown;
  headers?: Record<string, string>;
  key?: string | undefined;
}
interface Answer {
  status: number;
  headers: Record<string, string | string[] | number | undefined>;
  body: AnswerBody;
  raw: Buffer;
}

/** Fields that tests access by name. All others are checked by matchers. */
export interface AnswerBody {
  [field: string]: unknown;
  execution_id: string;
  items: AnswerBody[];
  next_cursor?: string;
  errors: { location: string; message: string; value?: unknown }[];
}

export interface FixtureOptions {
  config?: Record<string, string>;
  store?: (store: Store) => Store;
  now?: () => number;
  /** Operations are not started: tests settle them in the store. */
  providers?: Providers;
}

/** Makes the connected machine `dm-one`. */
export async function httpFixture(options: FixtureOptions = {}): Promise<HttpFixture> {
  const dir = mkdtempSync(join(tmpdir(), 'execplane-http-'));
  const feed = new MachineFeed();
  const store = openTestStore({ path: join(dir, 'test.db'), onMachine: feed.publish });
  const live = new Live(store);
  const created: CreateRequest[] = [];
  const control = storeOnlyControl(store, live, created);
  const log: string[] = [];
  const config = readServerConfig({ dataDir: dir, ...options.config }, {});
  const logger = testLogger(config, log);
  const runners = { store, sealer: keys.sealer, control: () => control, log: logger, now: Date.now };
  const batches = new BatchRunner({ ...runners, pollMs: 60_000 });
  const deps = {
    store: options.store?.(store) ?? store,
    control,
    lifecycle: new Lifecycle({
      pollMs: 60_000,
      ...{ store, control, feed, log: logger, now: Date.now },
      providers: options.providers ?? { byName: new Map() },
      serverUrl: () => 'http://127.0.0.1',
      joinTokenOf: (operationId) => ({ token: operationId, hash: Buffer.from(operationId) }),
    }),
    batches,
    schedules: buildSchedules({ ...runners, batches, now: options.now ?? Date.now }),
    logger,
    serverKeys: keys,
    adminKey: ADMIN_KEY,
    openIdConnect: createOpenIdConnect(config),
    version: '0.0.0',
  };
  const app = buildApp(options.now === undefined ? deps : { ...deps, now: options.now }, config);
  await app.ready();
  await connect(store, MACHINE);
  const numbers = new Map<string, number>();

  const fixture: HttpFixture = {
    app,
    store,
    control,
    config,
    created,
    log,
    call: (method, path, call) => callApp(app, () => documentOf(deps, config), method, path, call),
    async create(body = { command: ['true'] }) {
      const answer = await fixture.call('POST', `/v1/machines/${MACHINE}/executions`, { body });
      if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
      return answer.body.execution_id;
    },
    async report(executionId, ...reports) {
      const records = reports.map(({ kind, payload = '' }) => {
        const number = (numbers.get(executionId) ?? 0) + 1;
        numbers.set(executionId, number);
        return { kind: REPORT_KIND[kind], executionId, number, at: Date.now(), payload: bytesOf(payload) };
      });
      const now = (options.now ?? Date.now)();
      const batch = { machineId: MACHINE, records, clockOffsetMs: 0, now, artifacts: ARTIFACTS };
      for (const result of await store.appendReports(batch)) if (result.execution) live.committed(result.execution);
    },
    start: (executionId) => fixture.report(executionId, { kind: 'started', payload: { pid: 1 } }),
    finish: (executionId, end = {}) =>
      fixture.report(executionId, { kind: 'ended', payload: { ...SUCCEEDED, ...end } }),
    listen: () => app.listen({ port: 0, host: '127.0.0.1' }),
    async [Symbol.asyncDispose]() {
      await app.close();
      live.close();
      await store.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return fixture;
}

/** Makes a machine, connected as `runner-1`. */
export async function connect(store: Store, machineId: string): Promise<void> {
  const now = Date.now();
  await store.createMachine({ machineId, now });
  const facts = { vcpu: 2, memory_mib: 1024, storage_gib: 10 };
  await store.machineConnected({ machineId, runnerInstance: RUNNER, bootId: 'boot', facts, now });
}

function storeOnlyControl(store: Store, live: Live, created: CreateRequest[]): ControlPlane {
  const publish = (execution: Execution): void => live.committed(execution);
  return {
    tell: () => {},
    mayKeep: async () => true,
    usage: async (execution) => execution.usage,
    async create(request) {
      created.push(request);
      const { machineId, command, env, stdin, createdBy, cwd, callbackUrl, outputMode, actor, idempotency } = request;
      const now = Date.now();
      const made = await store.createExecution({
        execution: {
          executionId: `exec-${nanoid(12)}x`,
          machineId,
          command,
          envKeys: Object.keys(env).sort(),
          stdinMode: stdin.mode,
          createdBy,
          expiresAt: now + 60_000,
          ...(cwd === undefined ? {} : { cwd }),
          ...(callbackUrl === undefined ? {} : { callbackUrl }),
          ...(outputMode === undefined ? {} : { outputMode }),
        },
        now,
        queueLimit: 100,
        dispatchTo: { runnerInstance: RUNNER, epoch: 1 },
        ...(actor === undefined ? {} : { actor }),
        ...(idempotency === undefined ? {} : { idempotency }),
      });
      return made.outcome === 'existing' ? { ...made, outcome: 'created' } : made;
    },
    async cancel(p) {
      const outcome = await store.requestCancel({ ...p, now: Date.now() });
      if ('execution' in outcome) publish(outcome.execution);
      return outcome;
    },
    ready: true,
    servers: 1,
    signal: async ({ execution }) => (execution.status === 'running' ? 'sent' : 'not_running'),
    resize: async ({ execution }) => (execution.status === 'running' ? 'sent' : 'not_running'),
    async writeStdin({ bytes, offset = 0, close, execution }) {
      if (execution.stdinMode !== 'open') return { outcome: 'not_open' };
      return { outcome: 'written', offset: offset + bytes.length, closed: close };
    },
    output: {
      open: async () => undefined,
      async bounds({ executionId }, stream) {
        const bounds = await store.outputBounds({ executionId, stream });
        return { ...bounds, followableTo: bounds.end };
      },
      store: async () => {},
      release: (p) => store.releaseOutput({ ...p, now: Date.now() }),
    },
    subscribe: (executionId, listener) => live.subscribe(executionId, listener),
    waitForEnd: (p) => live.waitForEnd(p),
    waitForEvents: (p) => live.waitForEvents(p),
    machineRemoved: async (_machineId, ended) => ended.forEach(publish),
    ended: (executions) => executions.forEach(publish),
    detachAgent: async () => {},
    credentialChanged: async () => {},
    rotateCredential: async () => 'sent',
  };
}

const NO_JSON: AnswerBody = { execution_id: '', items: [], errors: [] };

/** The document comes from a separate app, so that tests see only their own requests. */
async function documentOf(deps: AppDeps, config: ServerConfig): Promise<unknown> {
  const app = buildApp({ ...deps, logger: pino({ level: 'silent' }) }, config);
  const { body } = await app.inject('/openapi.json');
  await app.close();
  return JSON.parse(body);
}

async function callApp(
  app: App,
  document: () => Promise<unknown>,
  method: Method,
  path: string,
  options: CallOptions = {},
): Promise<Answer> {
  const { body } = options;
  const json = body !== undefined && typeof body !== 'string' && !Buffer.isBuffer(body);
  const key = 'key' in options ? options.key : ADMIN_KEY;
  const response = await app.inject({
    method,
    url: path,
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(body === undefined ? {} : { payload: json ? JSON.stringify(body) : (body as string | Buffer) }),
  });
  const answer = {
    method,
    path,
    status: response.statusCode,
    header: (name: string) => headerText(response.headers[name]),
    body: response.rawPayload,
  };
  await checkConformance(answer, document);
  const type = String(response.headers['content-type'] ?? '');
  const parsed: AnswerBody =
    /[/+]json/.test(type) && response.rawPayload.length > 0 ? response.json<AnswerBody>() : NO_JSON;
  return { status: response.statusCode, headers: response.headers, body: parsed, raw: response.rawPayload };
}

function headerText(value: string | string[] | number | undefined): string | undefined {
  return value === undefined ? undefined : String(value);
}

function bytesOf(payload: Buffer | string | object): Buffer {
  if (Buffer.isBuffer(payload)) return payload;
  return Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
}

function testLogger(config: ServerConfig, lines: string[]): Logger {
  return pino({ level: config.logLevel, base: null }, { write: (line: string) => void lines.push(line) });
}
