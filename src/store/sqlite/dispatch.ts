/** Claims executions, stores reports, and ends executions at their deadlines. */
import type { QueuePlace } from '../../core/decisions/reason.ts';
import * as dispatching from '../transactions/dispatch.ts';
import { appendReports, bytesOf } from '../transactions/reports.ts';
import type { DeadlineStore, DispatchStore, ReportStore } from '../store.ts';
import { type Context, read } from './tables/context.ts';
import { type ExecutionRow, toRecord } from '../rows/execution-row.ts';
import { EXECUTION_COLUMNS, SELECT_EXECUTION } from './tables/select-execution.ts';

const DISPATCHED = 'e.dispatch_number > 0 AND e.completed_at IS NULL';

const QUEUE_PLACE = `SELECT
  (SELECT count(*) FROM executions o WHERE o.machine_id = w.machine_id AND o.dispatch_number > 0 AND o.completed_at IS NULL) AS busy,
  (SELECT count(*) FROM executions o
   WHERE o.machine_id = w.machine_id AND o.dispatch_number IS NULL AND o.completed_at IS NULL AND o.id < w.id) AS ahead
  FROM executions w JOIN machines m ON m.id = w.machine_id WHERE m.public_id = ? AND w.public_id = ?`;

/** The use cases of agents. */
export function dispatchMethods({ db, write, tx }: Context): DispatchStore & ReportStore {
  const dispatched = db.prepare<[string], ExecutionRow>(
    `${SELECT_EXECUTION} WHERE e.machine_id = (SELECT id FROM machines WHERE public_id = ?) AND ${DISPATCHED}
     ORDER BY e.dispatch_number`,
  );
  const place = db.prepare<[string, string], QueuePlace>(QUEUE_PLACE);
  return {
    queuePlace: ({ machineId, executionId }) => read(() => place.get(machineId, executionId)),
    claimQueued: (p) => write(() => dispatching.claimQueued(tx, p)),
    endUndelivered: (p) => write(() => dispatching.endUndelivered(tx, p)),
    markLost: (p) => write(() => dispatching.markLost(tx, p)),
    wakeWaiting: (p) => write(() => dispatching.wakeWaiting(tx, p)),
    appendReports: (p) => write(() => appendReports(tx, p), bytesOf(p)),
    listDispatched: ({ machineId, aboveNumber }) =>
      read(() =>
        dispatched.all(machineId).map((row) => {
          const record = toRecord(row);
          const withInput = (row.dispatch_number ?? 0) > aboveNumber;
          return withInput ? dispatching.withInput(tx, record) : { execution: record.execution };
        }),
      ),
  };
}

/** Ends executions that are due. */
export function deadlineMethods({ db, write, tx }: Context): DeadlineStore {
  const abandoned = db.prepare<[number, number], ExecutionRow>(
    `SELECT ${EXECUTION_COLUMNS} FROM machines m CROSS JOIN executions e ON e.machine_id = m.id CROSS JOIN requests r ON r.execution_id = e.id
     WHERE m.away_since <= ? AND ${DISPATCHED} LIMIT ?`,
  );
  return {
    expireDue: ({ now, limit }) =>
      write(() => tx.expiries.endDue(now, limit, (due) => dispatching.advanceAll(tx, due, { type: 'expired' }, now))),
    nextExpiry: () => read(() => tx.expiries.next()),
    markAbandonedLost: ({ awaySince, reason, now, limit }) =>
      write(() => {
        const records = abandoned.all(awaySince, limit).map(toRecord);
        return dispatching.advanceAll(tx, records, { type: 'agent_lost', reason }, now);
      }),
  };
}
