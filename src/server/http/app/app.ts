/** The HTTP application, separate from the process, so that tests use the same one. */
import Fastify, { type FastifyReply, type FastifyRequest, LogController } from 'fastify';
import type { Logger } from 'pino';
import { Registry } from 'prom-client';
import type { JsonBounds } from '../../../core/json.ts';
import type { Store } from '../../../store/store.ts';
import { accessAfterBody, accessHook } from './access-hook.ts';
import { createAuditTrail } from '../authentication/audit-trail.ts';
import { createBodyBudget } from './body-budget.ts';
import { pauseHook } from '../requests/large-bodies.ts';
import { useJsonBodies } from '../requests/body-parsers.ts';
import { createConsoleSessions } from '../authentication/console-session.ts';
import { readTrustedProxies } from '../../trusted-proxies.ts';
import { rememberAddresses } from '../authentication/client-address.ts';
import { answerClientError, answerConnect } from './client-errors.ts';
import type { ServerConfig } from '../../config.ts';
import type { ControlPlane } from '../../control/control.ts';
import type { BatchRunner } from '../../control/batches/batch-runner.ts';
import type { Schedules } from '../../control/schedules/schedules.ts';
import type { Lifecycle } from '../../control/lifecycle/lifecycle.ts';
import { createDownloadLinks } from '../requests/download-links.ts';
import { createCursors } from '../requests/cursor.ts';
import type { App, HttpContext } from '../http-context.ts';
import { errorHandler } from '../replies/error-replies.ts';
import { createHttpServer } from './http-server.ts';
import { onBehalfReader } from '../requests/idempotency.ts';
import type { OpenIdConnect } from '../authentication/open-id-connect.ts';
import { createKeyRing } from '../authentication/key-ring.ts';
import { createOpenRequests } from '../requests/open-requests.ts';
import { createRateLimiter } from '../authentication/rate-limit.ts';
import { createRequestIds } from '../requests/request-ids.ts';
import { requestLog } from './request-log.ts';
import { registerRoutes } from '../routes/routes.ts';
import { validatorCompiler } from './validation.ts';
import type { ServerKeys } from '../../seal.ts';
import { createStreamUpgrade } from '../terminals/stream-upgrade.ts';
import { createTerminalTickets } from '../authentication/tickets.ts';
import type { Terminals } from '../../control/terminals/terminals.ts';
import { SECURITY_HEADERS } from '../replies/security-headers.ts';
import { watchSilentConnections } from './silent-connections.ts';
import type { RequestTracing } from '../../operations/tracing/requests.ts';

export interface AppDeps {
  store: Store;
  control: ControlPlane;
  lifecycle: Lifecycle;
  batches: BatchRunner;
  schedules: Schedules;
  logger: Logger;
  serverKeys: Pick<
    ServerKeys,
    'requestDigest' | 'cursorDigest' | 'downloadDigest' | 'sessionKey' | 'signInKey' | 'ticketKey'
  >;
  /** The key that has every scope. It is not in the store. */
  adminKey: string;
  /** The version of this server, for its documents. */
  version: string;
  /** Metrics of other parts of the server, for /metrics. */
  metrics?: Registry;
  /** Absent: streams of terminals cannot be opened. */
  terminals?: Terminals | undefined;
  /** Absent: users sign in to the console with a key only. */
  openIdConnect?: OpenIdConnect | undefined;
  /** Absent: no traces. */
  tracing?: RequestTracing | undefined;
  /** ms since the epoch. */
  now?: () => number;
}

/** Maximum length of a path parameter, in characters: an id has up to 253, and longer ones are refused as malformed. */
const MAX_PARAM_CHARS = 512;

/** Builds the app. It owns its timers and its server, which `close()` disposes of. Store and control plane belong to the caller. */
export function buildApp(deps: AppDeps, config: ServerConfig): App {
  const context = buildHttpContext(deps, config);
  const nextRequestId = createRequestIds();
  const answerError = errorHandler(context.logger);
  const app: App = Fastify({
    serverFactory: (handler) => createHttpServer(config, handler),
    // The framework's own log lines (listening, disconnects) are replaced by ours.
    loggerInstance: context.logger.child({}, { level: 'warn' }),
    childLoggerFactory: (logger) => logger,
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: readTrustedProxies(config.trustProxy) ?? false,
    bodyLimit: config.maxBodyBytes,
    routerOptions: { maxParamLength: MAX_PARAM_CHARS },
    genReqId: nextRequestId,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    frameworkErrors: (error, request: FastifyRequest, reply: FastifyReply) => {
      reply.header('x-request-id', request.id).headers(SECURITY_HEADERS);
      answerError(error, request, reply);
    },
    clientErrorHandler: (error, socket) => answerClientError(error, socket, nextRequestId),
  });
  app.server.on('connect', (_request, socket) => answerConnect(socket, nextRequestId));
  useJsonBodies(app, jsonBounds(config));
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(() => JSON.stringify);
  app.setErrorHandler(answerError);
  app.addHook('onRequest', requestLog(context.logger, config.logRequests));
  if (deps.tracing !== undefined) app.addHook('onRequest', deps.tracing.begin);
  app.addHook('onRequest', accessHook(context));
  const bodies = createBodyBudget({ total: config.maxBodiesBytes, maxBodyBytes: config.maxBodyBytes });
  app.addHook('preParsing', bodies.hook);
  app.addHook('preValidation', accessAfterBody(context));
  app.addHook('preHandler', pauseHook);
  rememberAddresses(app.server, config.tlsCert !== undefined);
  const silent = watchSilentConnections(app.server, config.tlsCert !== undefined);
  app.addHook('preClose', async () => {
    context.openRequests.endAll();
    silent.closeAll();
  });
  app.addHook('onClose', async () => {
    await context.audit.flush();
    await context.keys.close();
  });
  if (deps.terminals !== undefined) app.server.on('upgrade', createStreamUpgrade(context, deps.terminals));
  registerRoutes(app, context, deps.version);
  return app;
}

/** Maximum number of characters of a number. JSON.stringify writes a double in at most 25. */
const MAX_NUMBER_DIGITS = 40;

/** Returns the bounds of a body: above the largest create, so that a slightly too large one gets an error that names its field. */
function jsonBounds({ maxJsonDepth, maxEnv, maxArgs }: ServerConfig): JsonBounds {
  const members = 2 * maxEnv + 1000;
  return { depth: maxJsonDepth, members, values: maxArgs + members, digits: MAX_NUMBER_DIGITS };
}

function buildHttpContext(deps: AppDeps, config: ServerConfig): HttpContext {
  const {
    store,
    control,
    lifecycle,
    batches,
    logger,
    serverKeys,
    adminKey,
    now = Date.now,
    metrics = new Registry(),
  } = deps;
  const keys = createKeyRing({ store, adminKey, now, logger });
  return {
    store,
    control,
    lifecycle,
    batches,
    schedules: deps.schedules,
    config,
    logger,
    now,
    keys,
    consoleSessions: createConsoleSessions({ sealKey: serverKeys.sessionKey, now }),
    signInKey: serverKeys.signInKey,
    openIdConnect: deps.openIdConnect,
    cursors: createCursors(serverKeys.cursorDigest),
    onBehalfOf: onBehalfReader(serverKeys.requestDigest, now),
    creates: createRateLimiter({ perSecond: config.maxCreatesPerSecond, servers: () => control.servers, now }),
    downloads: createDownloadLinks(serverKeys.downloadDigest, now),
    audit: createAuditTrail({ store, now, logger }),
    openRequests: createOpenRequests({ maxPerKey: config.maxStreamsPerKey, now, isValid: keys.isValid }),
    terminalTickets: createTerminalTickets({ store, keys, sealKey: serverKeys.ticketKey, now }),
    metrics,
    tracing: deps.tracing,
  };
}
