/** Maps paths to pages. The server answers with the console at the same paths (src/server/http/console/pages.ts). */
import type { ComponentType } from 'react';
import { AddMachinePage } from './pages/add-machine.tsx';
import { AuditPage } from './pages/administration/audit.tsx';
import { BatchPage } from './pages/batches/batch.tsx';
import { BatchesPage } from './pages/batches/batches.tsx';
import { ExecutionPage } from './pages/execution.tsx';
import { ExecutionsPage } from './pages/executions.tsx';
import { KeysPage } from './pages/administration/keys.tsx';
import { MachinePage } from './pages/machine.tsx';
import { MachinesPage } from './pages/machines.tsx';
import { OverviewPage } from './pages/overview.tsx';
import { RunPage } from './pages/run.tsx';
import { TerminalPage } from './pages/terminal.tsx';
import { TokensPage } from './pages/administration/tokens.tsx';
import { WebhooksPage } from './pages/administration/webhooks.tsx';
import { SchedulePage } from './pages/schedules/schedule.tsx';
import { SchedulesPage } from './pages/schedules/schedules.tsx';
import type { PathParameters } from './shell/path-parameters.ts';

export const ROUTES = [
  { path: '/', page: OverviewPage },
  { path: '/machines', page: MachinesPage },
  { path: '/machines/add', page: AddMachinePage },
  { path: '/machines/:machineId', page: MachinePage },
  { path: '/machines/:machineId/executions/:executionId', page: ExecutionPage },
  { path: '/machines/:machineId/terminals', page: TerminalPage },
  { path: '/machines/:machineId/terminals/:terminalId', page: TerminalPage },
  { path: '/executions', page: ExecutionsPage },
  { path: '/batches', page: BatchesPage },
  { path: '/batches/:batchId', page: BatchPage },
  { path: '/schedules', page: SchedulesPage },
  { path: '/schedules/:scheduleId', page: SchedulePage },
  { path: '/run', page: RunPage },
  { path: '/keys', page: KeysPage },
  { path: '/tokens', page: TokensPage },
  { path: '/webhooks', page: WebhooksPage },
  { path: '/audit', page: AuditPage },
] as readonly { path: string; page: ComponentType<PathParameters> }[];
