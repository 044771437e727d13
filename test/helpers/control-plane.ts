/** A control plane with its SQLite store behind a real HTTP server, for tests that play the agent. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { onTestFinished } from 'vitest';
import { AGENT_LIMITS } from '../../src/server/control/agents/connection/limits.ts';
import type { PeerSettings } from '../../src/server/control/cluster/cluster.ts';
import type { CreateRequest } from '../../src/server/control/control.ts';
import type { ControlPlaneConfig } from '../../src/server/control/control-config.ts';
import { buildControlPlane, type RunningControlPlane } from '../../src/server/control/control-plane.ts';
import { createUpgradeHandler, hashSecret } from '../../src/server/http/agents/authentication.ts';
import { serverKeysFrom } from '../../src/server/seal.ts';
import type { Execution, Store } from '../../src/store/store.ts';
import { temporaryDirectory } from './directories.ts';
import { openTestStore } from './test-store.ts';

const CONFIG: ControlPlaneConfig = {
  queueTtlMs: 3_600_000,
  agentLostAfterMs: 900_000,
  streamBufferBytes: 1 << 20,
  streamIdleMs: 3_600_000,
  maxOutputBytes: 16_777_216,
  cancelGraceMs: 5000,
  artifacts: { maxBytes: 1 << 20, quotaBytes: 1 << 30, retentionMs: 0, timeoutMs: 60_000 },
  version: 'test',
};
const KEYS = serverKeysFrom(randomBytes(32));

export interface PlaneOptions {
  config?: Partial<ControlPlaneConfig>;
  /** Wraps the store of the control plane, for example to delay or refuse calls. */
  wrap?: (store: Store) => Store;
  /** An existing directory, whose database is opened. Default: a new directory. */
  directory?: string;
  logger?: Logger;
  callbackDue?: () => void;
  /** Connections to other servers. */
  peers?: PeerSettings;
}

export class TestPlane {
  readonly control: RunningControlPlane;
  /** The wrapped store, which the control plane uses. */
  readonly store: Store;
  readonly directory: string;
  readonly url: string;
  readonly #server: Server;
  #stopped = false;

  private constructor(p: { control: RunningControlPlane; store: Store; directory: string; server: Server }) {
    this.control = p.control;
    this.store = p.store;
    this.directory = p.directory;
    this.#server = p.server;
    this.url = `http://127.0.0.1:${(p.server.address() as AddressInfo).port}`;
  }

  /** Starts a control plane. After the test it is stopped and its directory removed. */
  static async start(options: PlaneOptions = {}): Promise<TestPlane> {
    const directory = options.directory ?? temporaryDirectory('plane');
    const opened = openTestStore({ path: join(directory, 'execplane.db') });
    const store = options.wrap?.(opened) ?? opened;
    const { logger = pino({ level: 'silent' }), callbackDue, peers } = options;
    const optional = { ...(callbackDue !== undefined && { callbackDue }), ...(peers !== undefined && { peers }) };
    const deps = { store, sealer: KEYS.sealer, logger, ...optional };
    const control = buildControlPlane(deps, { ...CONFIG, ...options.config });
    const server = createServer();
    const guard = { store, log: logger, control, maxFrameBytes: AGENT_LIMITS.helloBytes, requireCertificate: false };
    server.on('upgrade', createUpgradeHandler(guard));
    await control.start();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const plane = new TestPlane({ control, store, directory, server });
    onTestFinished(() => plane.stop());
    return plane;
  }

  /** Stops it in the same order as the server, which disconnects the agents. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    await this.control.stop();
    await closed;
    await this.store.close();
  }

  /** Makes a machine with a credential. Returns the credential. */
  async machine(machineId = 'dm-one'): Promise<string> {
    const credential = `xpa_${randomBytes(32).toString('base64url')}`;
    await this.store.createMachine({ machineId, now: Date.now() });
    await this.store.replaceCredential({ machineId, credentialHash: hashSecret(credential), now: Date.now() });
    return credential;
  }

  /** Whether the machine's agent is connected, according to the store. */
  async connected(machineId: string): Promise<boolean> {
    return (await this.store.getMachine({ machineId }))?.phase === 'running';
  }

  /** Removes a machine and everything that runs there. */
  async remove(machineId: string): Promise<void> {
    const request = { type: 'remove', force: false } as const;
    const removed = await this.store.changeMachine({ machineId, request, capabilities: new Map(), now: Date.now() });
    if (removed.outcome !== 'changed') throw new Error(`remove: ${removed.outcome}`);
    await this.control.machineRemoved(machineId, removed.ended);
  }

  /** Creates an execution. Throws if that is refused. */
  async create(request: Partial<CreateRequest> = {}): Promise<Execution> {
    const created = await this.control.create({ ...REQUEST, ...request });
    if (created.outcome !== 'created') throw new Error(`create: ${created.outcome}`);
    return created.execution;
  }

  async get({ machineId, executionId }: Execution): Promise<Execution> {
    const execution = await this.store.getExecution({ machineId, executionId });
    if (execution === undefined) throw new Error('the execution is gone');
    return execution;
  }

  /** Waits until the execution has ended. */
  end(execution: Execution): Promise<Execution> {
    return this.control.waitForEnd({ execution, waitMs: 50_000, signal: new AbortController().signal });
  }

  /** Waits until `done` returns true for a committed state, and returns that state. */
  async until(execution: Execution, done: (execution: Execution) => boolean): Promise<Execution> {
    let wake: (latest: Execution) => void = () => {};
    const reached = new Promise<Execution>((resolve) => {
      wake = (latest) => done(latest) && resolve(latest);
    });
    const unsubscribe = this.control.subscribe(execution.executionId, wake);
    wake(await this.get(execution));
    try {
      return await reached;
    } finally {
      unsubscribe();
    }
  }
}

const REQUEST: CreateRequest = {
  machineId: 'dm-one',
  command: ['/bin/true'],
  stdin: { mode: 'none' },
  env: {},
  createdBy: 'admin',
};
