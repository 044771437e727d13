/** All routes, a file a resource. */

import { enrolRoute } from '../../control/agents/enrol.ts';
import type { App, Edge } from '../http-context.ts';
import { collectRoutes } from '../documents/openapi.ts';
import { apiKeyRoutes } from './api-keys.ts';
import { auditRoutes } from './audit.ts';
import { documentRoutes } from './documents.ts';
import { eventRoutes } from './events.ts';
import { executionRoutes } from './executions.ts';
import { healthRoutes } from './health.ts';
import { joinTokenRoutes } from './join-tokens.ts';
import { machineRoutes } from './machines.ts';
import { metricsRoutes } from './metrics.ts';
import { outputRoutes } from './output.ts';
import { rawOutputRoutes } from '../streams/raw-output.ts';
import { signalRoutes } from './signal.ts';
import { stdinRoutes } from './stdin.ts';

export function registerRoutes(app: App, edge: Edge, version: string): void {
  const routes = collectRoutes(app);
  metricsRoutes(app, edge);
  executionRoutes(app, edge);
  eventRoutes(app, edge);
  outputRoutes(app, edge);
  rawOutputRoutes(app, edge);
  signalRoutes(app, edge);
  stdinRoutes(app, edge);
  machineRoutes(app, edge);
  joinTokenRoutes(app, edge);
  apiKeyRoutes(app, edge);
  auditRoutes(app, edge);
  healthRoutes(app, edge);
  enrolRoute(app, {
    requireCertificate: edge.config.agentCa !== undefined,
    store: edge.store,
    log: edge.logger,
    now: edge.now,
    credentialChanged: (machineId) => edge.control.credentialChanged(machineId),
  });
  documentRoutes(app, { routes, version });
}
