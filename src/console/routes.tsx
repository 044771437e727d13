/** Maps paths to pages. The server answers with the console at the same paths (src/server/http/console/pages.ts). */
import { Route } from 'wouter';
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

/** The routes of the pages, for a `Switch`. The keys of the two terminal pages differ, so that each opens in a state of its own. */
export const ROUTES = (
  <>
    <Route path="/">{() => <OverviewPage />}</Route>
    <Route path="/machines">{() => <MachinesPage />}</Route>
    <Route path="/machines/add">{() => <AddMachinePage />}</Route>
    <Route path="/machines/:machineId">{({ machineId }) => <MachinePage machineId={machineId} />}</Route>
    <Route path="/machines/:machineId/executions/:executionId">
      {({ machineId, executionId }) => <ExecutionPage machineId={machineId} executionId={executionId} />}
    </Route>
    <Route key="terminals" path="/machines/:machineId/terminals">
      {({ machineId }) => <TerminalPage machineId={machineId} />}
    </Route>
    <Route key="terminal" path="/machines/:machineId/terminals/:terminalId">
      {({ machineId, terminalId }) => <TerminalPage machineId={machineId} terminalId={terminalId} />}
    </Route>
    <Route path="/executions">{() => <ExecutionsPage />}</Route>
    <Route path="/batches">{() => <BatchesPage />}</Route>
    <Route path="/batches/:batchId">{({ batchId }) => <BatchPage batchId={batchId} />}</Route>
    <Route path="/schedules">{() => <SchedulesPage />}</Route>
    <Route path="/schedules/:scheduleId">{({ scheduleId }) => <SchedulePage scheduleId={scheduleId} />}</Route>
    <Route path="/run">{() => <RunPage />}</Route>
    <Route path="/keys">{() => <KeysPage />}</Route>
    <Route path="/tokens">{() => <TokensPage />}</Route>
    <Route path="/webhooks">{() => <WebhooksPage />}</Route>
    <Route path="/audit">{() => <AuditPage />}</Route>
  </>
);
