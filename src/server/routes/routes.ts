/** All routes, a file a resource. */
import type { App, Edge } from '../edge.ts';
import { apiKeyRoutes } from './api-keys.ts';
import { auditRoutes } from './audit.ts';
import { eventRoutes } from './events.ts';
import { executionRoutes } from './executions.ts';
import { healthRoutes } from './health.ts';
import { joinTokenRoutes } from './join-tokens.ts';
import { machineRoutes } from './machines.ts';
import { outputRoutes } from './output.ts';
import { rawOutputRoutes } from './raw-output.ts';
import { signalRoutes } from './signal.ts';
import { stdinRoutes } from './stdin.ts';

export function registerRoutes(app: App, edge: Edge): void {
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
}
