/** The server process: constructs its parts, listens, and stops without dropping open requests. */
import { Server as SecureServer } from 'node:https';
import type { Logger } from 'pino';
import { assertConfiguredDirectory } from '../node/files/configured-directory.ts';
import { LOG_KEY } from '../node/log-keys.ts';
import { startMemoryReturn } from '../node/native/memory-return.ts';
import type { ProxySelection } from '../node/proxy.ts';
import { packageVersion } from '../node/version.ts';
import type { Store } from '../store/store.ts';
import { readHookEnvironment, type ServerConfig } from './config.ts';
import { buildSchedules } from './control/schedules/schedules.ts';
import { BatchRunner } from './control/batches/batch-runner.ts';
import type { ChangedElsewhere } from './control/cluster/cluster.ts';
import { readPeerAddress } from './control/cluster/links/peer-socket.ts';
import { buildControlPlane, type RunningControlPlane } from './control/control-plane.ts';
import { observeAll } from './control/execution-observer.ts';
import { capabilitiesOf, Lifecycle } from './control/lifecycle/lifecycle.ts';
import { MachineFeed } from './control/lifecycle/machine-feed.ts';
import { createUpgradeHandler } from './http/agents/authentication.ts';
import { buildApp } from './http/app/app.ts';
import { readSecureContext } from './http/app/http-server.ts';
import { type AdminKey, newJoinToken, resolveAdminKey } from './http/authentication/admin-key.ts';
import { secretHash } from './http/authentication/key-ring.ts';
import { createOpenIdConnect } from './http/authentication/open-id-connect.ts';
import type { App } from './http/http-context.ts';
import { WAKE_RETRY_AFTER_MS } from './http/replies/wake-retry.ts';
import { executionWire } from './http/replies/wire.ts';
import { logToStderr } from './logging.ts';
import { openStore } from './open-store.ts';
import { startExecutionCounts } from './operations/execution-counts.ts';
import { startAuditRetention } from './operations/audit-retention.ts';
import { startHousekeeping } from './operations/housekeeping.ts';
import { preparePrivateDirectory } from './operations/private-paths.ts';
import { startTelemetry } from './operations/telemetry.ts';
import { readTracingConfig, type TracingConfig } from './operations/tracing/config.ts';
import { readCallbackProxies } from './operations/webhooks/config.ts';
import { webhookSecretOf } from './operations/webhooks/shared-secret.ts';
import { Webhooks } from './operations/webhooks/webhooks.ts';
import { readProviders } from './providers/providers-file.ts';
import { loadServerKeys, type ServerKeys } from './seal.ts';

export { readServerConfig, SERVER_SETTINGS, type ServerConfig } from './config.ts';
export { type BackupReport, backUp, type RestoreReport, restore } from './operations/backup.ts';
export { examineServer } from './operations/doctor/doctor.ts';
export { type MigrationReport, migrateToPostgres } from './operations/migrate-to-postgres.ts';

const DAY_MS = 86_400_000;
/** Interval of polls for work that no notification announced, ms: a clock was set, or another server died with it. */
const POLL_MS = 60_000;
const CLUSTER_POLL_MS = 5000;
/** Time for writes under way after connections were cut, in ms. */
const LAST_WRITES_MS = 5000;

export interface RunningServer {
  /** Its own URL, such as `http://127.0.0.1:7411`. */
  url: string;
  adminKey: AdminKey;
  logger: Logger;
  /** Reads the certificate again. Does nothing without TLS. */
  reloadCertificate(): void;
  /** Finishes open requests for up to `shutdownMs`, then cuts them. Settles when everything is on disk and closed. */
  stop(): Promise<void>;
}

/** Starts a server. Rejects if it cannot listen, or its data directory cannot be used. */
export async function startServer(
  config: ServerConfig,
  logger: Logger = logToStderr(config),
  tracing: TracingConfig | undefined = readTracingConfig(),
): Promise<RunningServer> {
  prepareFiles(config);
  const proxyFor = readCallbackProxies();
  const openIdConnect = createOpenIdConnect(config);
  const now = () => control.now();
  const providers = readProviders(config.providers, { environment: readHookEnvironment(), now });
  const adminKey = resolveAdminKey({ configured: config.apiKey, dataDir: config.dataDir });
  const serverKeys = loadServerKeys(config.dataDir, config.secretKeyFile);
  const { sealer, fingerprint } = serverKeys;
  const version = packageVersion();
  const { onCommit, observer, ...telemetry } = await startTelemetry({ tracing, log: logger, now: Date.now, version });
  const feed = new MachineFeed();
  const onMachine = feed.publisher((machineId) => control.tell({ about: 'status', machineId }));
  const store = await openStore(config, { onCommit, onMachine, version, fingerprint });
  const pollMs = store.cluster === undefined ? POLL_MS : CLUSTER_POLL_MS;
  const webhooks = await buildWebhooks({ store, logger, config, version, keys: serverKeys, now, pollMs, proxyFor });
  const counts = startExecutionCounts({ store, logger, now });
  const batches = new BatchRunner({ ...{ store, sealer, log: logger, now, pollMs }, control: () => control });
  const schedules = buildSchedules({ ...{ store, batches, sealer, log: logger, now }, control: () => control });
  const elsewhere = changesElsewhere({ lifecycle: () => lifecycle, batches });
  const peers = { address: readPeerAddress(config.clusterAddress), key: serverKeys.peerKey, version };
  const control: RunningControlPlane = buildControlPlane(
    {
      ...{ store, sealer, logger, callbackDue: () => webhooks.wake(), elsewhere, peers },
      observer: observeAll([observer, counts]),
    },
    { ...controlSettings(config), capabilities: capabilitiesOf(providers), version },
  );
  const lifecycle: Lifecycle = new Lifecycle({
    ...{ store, control, providers, feed, log: logger, now, pollMs },
    joinTokenOf: joinTokens(serverKeys),
    serverUrl: () => config.publicUrl ?? urlOf(app, config),
  });
  const { terminals } = control;
  const appParts = { terminals, metrics: telemetry.metrics(control), tracing: telemetry.tracing };
  const parts = { store, control, lifecycle, batches, schedules, logger, serverKeys, now: control.now };
  const app = buildApp({ ...parts, ...appParts, openIdConnect, adminKey: adminKey.key, version }, config);
  admitAgents(app, { store, control, log: logger }, config);
  const stopListening = () => closeInTime(app, () => control.stop(), config.shutdownMs);
  try {
    await control.start();
    await app.listen({ host: config.host, port: config.port });
  } catch (error) {
    await stopListening();
    await counts.stop();
    await store.close();
    throw error;
  }
  lifecycle.start();
  await schedules.start();
  webhooks.wake();
  const upkeep = startUpkeep({ store, logger, now: control.now, ...config });
  const url = urlOf(app, config);
  logger.info({ [LOG_KEY.url]: url, [LOG_KEY.version]: version }, 'listening');
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    const last = [{ stop: stopListening }, upkeep, webhooks, counts, { stop: () => store.close() }];
    for (const part of [schedules, lifecycle, ...last, { stop: () => telemetry.close() }]) await part.stop();
    logger.info('stopped');
  };
  return {
    url,
    adminKey,
    logger,
    reloadCertificate: () => reloadCertificate(app, config, logger),
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** Runs a server until SIGTERM or SIGINT, then stops it. A second signal ends the process at once. */
export async function runServer(config: ServerConfig): Promise<void> {
  const server = await startServer(config);
  const memoryReturn = startMemoryReturn();
  const reload = (): void => server.reloadCertificate();
  if (config.tlsCert !== undefined) process.on('SIGHUP', reload);
  const signal = await firstSignal();
  server.logger.info({ [LOG_KEY.signal]: signal }, 'stopping');
  const atOnce = (): never => process.exit(1);
  process.once('SIGTERM', atOnce).once('SIGINT', atOnce);
  const overdue = setTimeout(atOnce, config.shutdownMs + LAST_WRITES_MS).unref();
  await server.stop();
  memoryReturn.stop();
  clearTimeout(overdue);
  process.off('SIGTERM', atOnce).off('SIGINT', atOnce).off('SIGHUP', reload);
}

/** Throws ConfigError for files and directories that cannot be used, before anything is opened that would have to be closed again. */
function prepareFiles(config: ServerConfig): void {
  preparePrivateDirectory(config.dataDir);
  readSecureContext(config);
  if (config.packagesDir !== undefined) assertConfiguredDirectory('EXECPLANE_PACKAGES_DIR', config.packagesDir);
}

/** Settles as `read` does. If that rejects, closes the store, so that nothing keeps the process alive. */
async function closingAfter<T>(store: Store, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Passes the changes that other servers announce to the parts of this one that wait for them. */
function changesElsewhere(parts: { lifecycle: () => Lifecycle; batches: BatchRunner }): ChangedElsewhere {
  return {
    status: (machineId) => parts.lifecycle().changedElsewhere(machineId),
    batch: (batchId) => parts.batches.changedElsewhere(batchId),
  };
}

/** Starts the tasks that limit the size of the database. */
function startUpkeep(deps: Parameters<typeof startHousekeeping>[0] & Parameters<typeof startAuditRetention>[0]) {
  const parts = [startHousekeeping(deps), startAuditRetention(deps)];
  return { stop: async () => void (await Promise.all(parts.map((part) => part.stop()))) };
}

/** Returns the settings of the control plane. */
function controlSettings(config: ServerConfig) {
  const artifacts = {
    maxBytes: config.maxArtifactBytes,
    quotaBytes: config.artifactQuotaBytes,
    retentionMs: config.artifactRetentionDays * DAY_MS,
    timeoutMs: config.artifactTimeoutMs,
  };
  return { ...config, queueLimit: config.maxQueue, artifacts };
}

async function buildWebhooks(p: {
  store: Store;
  logger: Logger;
  config: ServerConfig;
  version: string;
  keys: ServerKeys;
  now: () => number;
  pollMs: number;
  proxyFor: ProxySelection;
}): Promise<Webhooks> {
  const { store, logger, config, version, keys, now, pollMs, proxyFor } = p;
  return new Webhooks({
    store,
    log: logger,
    now,
    pollMs,
    secret: await closingAfter(store, () => webhookSecretOf({ store, dataDir: config.dataDir, keys })),
    // A posted execution has ended, so its retry time is not used.
    wire: (execution) => executionWire(execution, WAKE_RETRY_AFTER_MS),
    userAgent: `execplane/${version}`,
    allowPrivate: config.allowPrivateCallbacks,
    proxyFor,
  });
}

/** Passes the `upgrade` events of the server to agents. */
function admitAgents(
  app: App,
  parts: { store: Store; control: RunningControlPlane; log: Logger },
  { maxFrameBytes, agentCa }: ServerConfig,
): void {
  app.server.on(
    'upgrade',
    createUpgradeHandler({ ...parts, maxFrameBytes, requireCertificate: agentCa !== undefined }),
  );
}

/** Returns the function that derives the join token of an operation from its id and the server's key, so that only its hash is stored. */
function joinTokens({ joinTokenDigest }: ServerKeys) {
  return (operationId: string): { token: string; hash: Buffer } => {
    const token = newJoinToken(joinTokenDigest(operationId));
    return { token, hash: secretHash(token) };
  };
}

function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const caught = (signal: NodeJS.Signals): void => {
      process.off('SIGTERM', caught).off('SIGINT', caught);
      resolve(signal);
    };
    process.on('SIGTERM', caught).on('SIGINT', caught);
  });
}

/** Disconnects agents and waiting clients together, because the server closes only when both are disconnected. */
async function closeInTime(app: App, stopAgents: () => Promise<void>, withinMs: number): Promise<void> {
  const cut = setTimeout(() => app.server.closeAllConnections(), withinMs);
  try {
    await Promise.all([app.close(), stopAgents()]);
  } finally {
    clearTimeout(cut);
  }
}

function reloadCertificate(app: App, config: ServerConfig, logger: Logger): void {
  try {
    const context = readSecureContext(config);
    if (context === undefined || !(app.server instanceof SecureServer)) return;
    app.server.setSecureContext(context);
    logger.info('the certificate was reloaded');
  } catch (error) {
    logger.error(
      { err: error },
      'the certificate could not be read; the old one stays in use: correct the file and send SIGHUP again',
    );
  }
}

function urlOf(app: App, config: ServerConfig): string {
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : config.port;
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  return `${config.tlsCert === undefined ? 'http' : 'https'}://${host}:${port}`;
}
