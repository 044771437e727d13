/** HttpContext: the dependencies of the routes. Built once in app.ts and passed to each route. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, RawServerDefault } from 'fastify';
import type { Logger } from 'pino';
import type { Store } from '../../store/store.ts';
import type { AuditTrail } from './authentication/audit-trail.ts';
import type { ConsoleSessions } from './authentication/console-session.ts';
import type { ServerConfig } from '../config.ts';
import type { ControlPlane } from '../control/control.ts';
import type { BatchRunner } from '../control/batches/batch-runner.ts';
import type { Schedules } from '../control/schedules/schedules.ts';
import type { Lifecycle } from '../control/lifecycle/lifecycle.ts';
import type { DownloadLinks } from './requests/download-links.ts';
import type { Cursors } from './requests/cursor.ts';
import type { OnBehalfOf } from './requests/idempotency.ts';
import type { OpenIdConnect } from './authentication/open-id-connect.ts';
import type { KeyRing } from './authentication/key-ring.ts';
import type { Registry } from 'prom-client';
import type { RateLimiter } from './authentication/rate-limit.ts';
import type { OpenRequests } from './requests/open-requests.ts';
import type { TerminalTickets } from './authentication/tickets.ts';
import type { RequestTracing } from '../operations/tracing/requests.ts';

export interface HttpContext {
  store: Store;
  control: ControlPlane;
  lifecycle: Lifecycle;
  batches: BatchRunner;
  schedules: Schedules;
  config: ServerConfig;
  logger: Logger;
  /** ms since the epoch. */
  now: () => number;
  keys: KeyRing;
  consoleSessions: ConsoleSessions;
  /** Key (32 bytes) that seals the state of a sign-in with OpenID Connect, which the browser keeps. */
  signInKey: Buffer;
  /** Absent: people sign in with API keys only. */
  openIdConnect: OpenIdConnect | undefined;
  cursors: Cursors;
  onBehalfOf: OnBehalfOf;
  /** Of the requests that create executions: EXECPLANE_MAX_CREATES_PER_SECOND. */
  creates: RateLimiter;
  downloads: DownloadLinks;
  audit: AuditTrail;
  openRequests: OpenRequests;
  terminalTickets: TerminalTickets;
  /** Metrics of other parts of the server, for /metrics. */
  metrics: Registry;
  /** Absent: no traces. */
  tracing: RequestTracing | undefined;
}

/** Fastify with types derived from the TypeBox schemas of its routes. */
export type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, Logger, TypeBoxTypeProvider>;
