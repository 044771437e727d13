/** The contract of every Store: the server works with each database that passes this suite. */
import { describe } from 'vitest';
import { describeActors } from './contract/actors.ts';
import { describeAdministration } from './contract/administration.ts';
import { describeArtifacts } from './contract/artifacts.ts';
import { describeBatches } from './contract/batches.ts';
import { describeCallbacks } from './contract/callbacks.ts';
import { describeCounts } from './contract/counts.ts';
import { describeDispatch } from './contract/dispatch.ts';
import { describeEnrolment } from './contract/enrolment.ts';
import { describeExecutions } from './contract/executions.ts';
import type { OpenStore } from './contract/fixture.ts';
import { describeHistories } from './contract/histories.ts';
import { describeHousekeeping } from './contract/housekeeping.ts';
import { describeIdempotency } from './contract/idempotency.ts';
import { describeLabels } from './contract/labels.ts';
import { describeLifecycle } from './contract/lifecycle.ts';
import { describeLimits } from './contract/limits.ts';
import { describeMachines } from './contract/machines.ts';
import { describeNames } from './contract/names.ts';
import { describeOutput } from './contract/output.ts';
import { describePages } from './contract/pages.ts';
import { describeReports } from './contract/reports.ts';
import { describeSchedules } from './contract/schedules.ts';

/** Runs the suite on the stores that `open` returns. Each store is empty and used by one test. */
export function describeStoreContract(name: string, open: OpenStore): void {
  describe(`the store contract: ${name}`, () => {
    describeExecutions(open);
    describePages(open);
    describeIdempotency(open);
    describeDispatch(open);
    describeReports(open);
    describeLimits(open);
    describeOutput(open);
    describeArtifacts(open);
    describeHistories(open);
    describeMachines(open);
    describeNames(open);
    describeLifecycle(open);
    describeLabels(open);
    describeEnrolment(open);
    describeAdministration(open);
    describeActors(open);
    describeCallbacks(open);
    describeCounts(open);
    describeBatches(open);
    describeHousekeeping(open);
    describeSchedules(open);
  });
}
