/** Claims executions, stores reports, and ends executions at their deadlines. */
import type { QueuePlace } from '../../core/decisions/reason.ts';
import type { ExecutionInput } from '../../core/execution.ts';
import { isPassed, REPORT_KIND, type StoredReport } from '../../core/report.ts';
import { type ExecutionRow, toExecution } from '../rows/execution-row.ts';
import type { DeadlineStore, DispatchStore, Execution, ReportStore } from '../store.ts';
import { advanceAll, claimQueued, endUndelivered, markLost, wakeWaiting } from '../transactions/dispatch.ts';
import { appendReports, bytesOf } from '../transactions/reports.ts';
import type { Context } from './context.ts';
import { EXECUTION_COLUMNS, EXECUTION_TABLES } from './statements/select-execution.ts';

const WAITING = 'e.dispatched_to IS NULL AND e.completed_at IS NULL';
const DISPATCHED = 'e.dispatched_to IS NOT NULL AND e.completed_at IS NULL';
const LIST_DISPATCHED = `SELECT ${EXECUTION_COLUMNS}, s.sealed FROM ${EXECUTION_TABLES}
  LEFT JOIN sealed_inputs s ON s.execution_id = e.id AND e.dispatch_number > $2
  WHERE m.public_id = $1 AND ${DISPATCHED} ORDER BY e.dispatch_number`;

const QUEUE_PLACE = `SELECT
  (SELECT count(*)::int FROM executions o WHERE o.machine_id = w.machine_id AND o.dispatched_to IS NOT NULL AND o.completed_at IS NULL) AS busy,
  (SELECT count(*)::int FROM executions o
   WHERE o.machine_id = w.machine_id AND o.dispatched_to IS NULL AND o.completed_at IS NULL AND o.id < w.id) AS ahead
  FROM executions w JOIN machines m ON m.id = w.machine_id WHERE m.public_id = $1 AND w.public_id = $2`;

/** The use cases of agents. */
export function dispatchMethods({ read, writers }: Context): DispatchStore & ReportStore {
  return {
    claimQueued: (p) =>
      writers.write(p.machineId, {
        needs: { machines: [p.machineId], claimable: p },
        run: (tx) => claimQueued(tx, p),
      }),
    wakeWaiting: (p) =>
      writers.write(p.machineId, {
        needs: { machines: [p.machineId], waking: p },
        run: (tx) => wakeWaiting(tx, p),
      }),
    endUndelivered: (p) =>
      writers.write(p.machineId, {
        needs: { machines: [p.machineId], executions: p.executionIds },
        run: (tx) => endUndelivered(tx, p),
      }),
    markLost: (p) =>
      writers.write(p.machineId, {
        needs: { machines: [p.machineId], executions: p.executionIds },
        run: (tx) => markLost(tx, p),
      }),
    // The machine's row is not needed: an execution with reports has left its queue.
    appendReports: (p) =>
      writers.write(p.machineId, {
        needs: {
          executions: p.records.map(({ executionId }) => executionId),
          // Their lock is the last one of a batch.
          ...(p.records.some(isPiece) ? { artifactBytes: true } : { reuses: true }),
        },
        bytes: bytesOf(p),
        run: (tx) => appendReports(tx, p),
      }),
    async queuePlace({ machineId, executionId }) {
      const [place] = await read<QueuePlace>({
        name: 'queue-place',
        text: QUEUE_PLACE,
        values: [machineId, executionId],
      });
      return place;
    },
    async listDispatched({ machineId, aboveNumber }) {
      const values = [machineId, aboveNumber];
      const statement = { name: 'list-dispatched', text: LIST_DISPATCHED, values };
      const rows = await read<ExecutionRow & { sealed: Buffer | null }>(statement);
      return rows.map((row) => ({
        execution: toExecution(row),
        ...(row.sealed !== null && { sealedInput: row.sealed }),
      }));
    },
  };
}

/** Whether a report contains bytes of an artifact: only then the remaining quota is needed. */
function isPiece(report: StoredReport): boolean {
  return !isPassed(report) && report.kind === REPORT_KIND.artifact_data;
}

/** An execution that may be due. It is found without locks; the decision is made under locks. */
interface Candidate {
  execution: string;
  machine: string;
  epoch: number;
}

const FIND_DUE = `SELECT e.public_id AS execution, m.public_id AS machine, m.epoch
  FROM executions e JOIN machines m ON m.id = e.machine_id
  WHERE ${WAITING} AND e.expires_at <= $1 ORDER BY e.expires_at LIMIT $2`;
const FIND_ABANDONED = `SELECT e.public_id AS execution, m.public_id AS machine, m.epoch
  FROM machines m JOIN executions e ON e.machine_id = m.id
  WHERE m.away_since <= $1 AND (SELECT accepting_since FROM cluster) <= $1 AND ${DISPATCHED}
  ORDER BY m.id, e.dispatch_number LIMIT $2`;

/** Ends executions that are due. */
export function deadlineMethods({ read, writers }: Context): DeadlineStore {
  /** Ends candidates. A machine whose epoch has changed since the search has connected meanwhile, and is left out. */
  function endAll(found: readonly Candidate[], input: ExecutionInput, now: number): Promise<Execution[]> | Execution[] {
    if (found.length === 0) return [];
    return writers.write('', {
      needs: { machines: found.map(({ machine }) => machine), executions: found.map(({ execution }) => execution) },
      run: (tx) => {
        const still = found.filter(({ machine, epoch }) => tx.queue(machine)?.epoch === epoch);
        const records = still.flatMap(({ execution }) => tx.execution(execution) ?? []);
        return advanceAll(tx, records, input, now);
      },
    });
  }

  return {
    async expireDue({ now, limit }) {
      return endAll(await read<Candidate>({ text: FIND_DUE, values: [now, limit] }), { type: 'expired' }, now);
    },
    async nextExpiry() {
      const text = `SELECT min(e.expires_at) AS at FROM executions e WHERE ${WAITING}`;
      const [row] = await read<{ at: number | null }>({ text });
      return row?.at ?? undefined;
    },
    async markAbandonedLost({ awaySince, reason, now, limit }) {
      const found = await read<Candidate>({ text: FIND_ABANDONED, values: [awaySince, limit] });
      return endAll(found, { type: 'agent_lost', reason }, now);
    },
  };
}
