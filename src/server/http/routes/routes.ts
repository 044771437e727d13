/** The list of all routes. Each resource has its own file. */

import { enrolRoute } from '../agents/enrol.ts';
import type { App, HttpContext } from '../http-context.ts';
import { collectRoutes } from '../documents/openapi.ts';
import { apiKeyRoutes } from './api-keys.ts';
import { artifactRoutes } from './artifacts.ts';
import { auditRoutes } from './audit.ts';
import { batchRoutes } from './machines/batches.ts';
import { consoleRoutes } from '../console/pages.ts';
import { consoleCallbackRoute } from '../console/callbacks.ts';
import { consoleOverviewRoute } from '../console/overview.ts';
import { openIdConnectRoutes } from '../console/open-id-connect.ts';
import { consoleSessionRoutes } from '../console/session.ts';
import { documentRoutes } from './documents.ts';
import { eventRoutes } from './executions/events.ts';
import { executionRoutes } from './executions/executions.ts';
import { healthRoutes } from './health.ts';
import { joinTokenRoutes } from './join-tokens.ts';
import { machineRoutes } from './machines/machines.ts';
import { scheduleRoutes } from './machines/schedules.ts';
import { mcpRoutes } from './mcp.ts';
import { metricsRoutes } from './metrics.ts';
import { packageRoutes } from './packages.ts';
import { mergedOutputRoutes } from './executions/merged-output.ts';
import { outputRoutes } from './executions/output.ts';
import { rawOutputRoutes } from './executions/raw-output.ts';
import { resizeRoutes } from './executions/resize.ts';
import { signalRoutes } from './executions/signal.ts';
import { terminalRoutes } from './terminals.ts';
import { stdinRoutes } from './executions/stdin.ts';

/** Registers all routes. `version`: version of this server. */
export function registerRoutes(app: App, context: HttpContext, version: string): void {
  const routes = collectRoutes(app);
  metricsRoutes(app, context);
  executionRoutes(app, context);
  eventRoutes(app, context);
  outputRoutes(app, context);
  rawOutputRoutes(app, context);
  mergedOutputRoutes(app, context);
  signalRoutes(app, context);
  stdinRoutes(app, context);
  resizeRoutes(app, context);
  terminalRoutes(app, context);
  artifactRoutes(app, context);
  machineRoutes(app, context);
  batchRoutes(app, context);
  scheduleRoutes(app, context);
  joinTokenRoutes(app, context);
  apiKeyRoutes(app, context);
  auditRoutes(app, context);
  healthRoutes(app, context);
  enrolRoute(app, {
    requireCertificate: context.config.agentCa !== undefined,
    store: context.store,
    log: context.logger,
    now: context.now,
    credentialChanged: (machineId) => context.control.credentialChanged(machineId),
  });
  consoleOverviewRoute(app, context);
  consoleCallbackRoute(app, context);
  consoleSessionRoutes(app, context, version);
  openIdConnectRoutes(app, context, context.openIdConnect);
  consoleRoutes(app);
  mcpRoutes(app, version);
  packageRoutes(app, context.config);
  documentRoutes(app, { routes, version, publicUrl: context.config.publicUrl });
}
