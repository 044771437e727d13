/** Finds the newest executions of selected machines. */
import type { ExecutionStatus } from '../../../core/execution-status.ts';
import type { Database } from '../file/database.ts';
import { StatementCache } from '../file/statement-cache.ts';
import { NEWEST, prepareMachineKeys, selectKeysFrom, selectNewestKey } from './machine-executions.ts';
import {
  hasLabels,
  keysOfIds,
  labelledMachines,
  type MachineSelection,
  machinesOfKeys,
  type SelectedMachines,
  type Sql,
} from './selected-machines.ts';

/** Up to this many machines are looked up at once; for more, the newest executions of all machines are searched first. */
const MAX_LOOKED_UP = 400;
/** Number of executions of all machines that are searched; the second for machines that are so many that it costs less than to look them up. */
const MAX_SEARCHED = 500;
const MAX_SEARCHED_FOR_MANY = 25_000;
const MANY_MACHINES = 1000;

interface Query extends MachineSelection {
  status: ExecutionStatus | undefined;
  /** ms since the epoch: older executions are not needed. */
  since: number;
  /** Only keys below this one. */
  after: number;
  limit: number;
}

/** Returns the condition of a status on `executions e`, under which an index or the order of the keys yields the newest executions first. */
type ConditionOf = (status: ExecutionStatus | undefined) => string;

/**
 * Returns a query of the newest keys of selected machines, newest first: at most `limit`, and possibly some that are older than `since`. The
 * newest executions of all machines contain them, unless the selected machines do little: then each is asked for its newest execution.
 */
export function prepareKeysOfMachines(db: Database, conditionOf: ConditionOf): (query: Query) => number[] {
  const statements = new StatementCache(db);
  const keysOf = prepareMachineKeys(db);

  /** Searches the newest `searched` executions of all machines. Undefined if too many of them are of other machines. */
  function search(condition: Sql, query: Query, searched: number): number[] | undefined {
    const { status, since, after, limit } = query;
    const found = conditionOf(status);
    // Executions that succeeded have no index of their own: their search is limited by all executions, or a long run of failures makes it long.
    const counted = status === 'succeeded' ? 'true' : found;
    const edge = statements
      .rows<[number, number], { id: number; created_at: number }>(
        `SELECT e.id, e.created_at FROM executions e WHERE ${counted} AND e.id < ? ORDER BY e.id DESC LIMIT 1 OFFSET ?`,
      )
      .get(after, searched);
    const keys = statements
      .values<(number | string)[], number>(
        `SELECT e.id FROM executions e WHERE ${found} AND e.id < ? AND e.id > ? AND e.is_terminal = 0 ${condition.text}
         ORDER BY e.id DESC LIMIT ?`,
      )
      .all(after, edge?.id ?? 0, ...condition.values, limit);
    const isComplete = keys.length === limit || edge === undefined || edge.created_at < since;
    return isComplete ? keys : undefined;
  }

  /** Looks up the newest execution of each machine, and then the others of those machines that can have one among the newest `limit`. */
  function lookUp(selected: SelectedMachines, query: Query): number[] {
    const { status, after } = query;
    // The row of a machine names its newest execution of any status. Most have succeeded.
    if (after === NEWEST && (status === undefined || status === 'succeeded')) {
      const newest = `SELECT newest_execution FROM machines WHERE id = ${selected.key}`;
      const keys = keysAmong(newestOf(statements, selected, { newest, parameters: [] }), query);
      if (keys !== undefined) return keys;
    }
    const newest = selectNewestKey(selected.key, status);
    return keysAmong(newestOf(statements, selected, { newest, parameters: [{ after }] }), query) ?? [];
  }

  /** The newest keys of these machines. Undefined if executions that are not listed are newer than them on too many machines. */
  function keysAmong(machines: readonly Newest[], query: Query): number[] | undefined {
    const last = machines[query.limit - 1];
    if (last === undefined) return mergeKeys(machines, query);
    const keys = keysFrom(machines.slice(0, query.limit), last.newest, query);
    if (keys === undefined) return mergeKeys(machines, query);
    return keys.length === query.limit ? keys : undefined;
  }

  /** The keys of these machines from `from` on, which are `limit` or more. Undefined if they are too many to be read and sorted. */
  function keysFrom(machines: readonly Newest[], from: number, { status, after, limit }: Query): number[] | undefined {
    const max = 10 * limit;
    const keys = statements
      .values<[object], number>(selectKeysFrom(status))
      .all({ machines: JSON.stringify(machines.map(({ machine }) => machine)), from, after, max });
    return keys.length === max ? undefined : keys.sort((a, b) => b - a).slice(0, limit);
  }

  /** Merges the keys of machines, until the newest execution of the next machine is older than all of `limit`. */
  function mergeKeys(machines: readonly Newest[], { status, after, limit }: Query): number[] {
    let found: number[] = [];
    for (const { machine, newest } of machines) {
      const from = found[limit - 1] ?? 0;
      if (newest < from) break;
      const keys = keysOf({ machine, status, after, from, limit });
      found = [...found, ...keys].toSorted((a, b) => b - a).slice(0, limit);
    }
    return found;
  }

  return (query) => {
    const { machineIds, labels = [] } = query;
    const keys = machineIds && keysOfIds(statements, machineIds, labels);
    const byKey = keys && machinesOfKeys('e.machine_id', keys);
    const condition = byKey?.condition ?? hasLabels('e.machine_id', labels);
    const selected = byKey?.selected ?? labelledMachines(statements, labels);
    if (selected.machines <= MAX_LOOKED_UP) return lookUp(selected, query);
    const found = search(condition, query, MAX_SEARCHED);
    if (found !== undefined) return found;
    const further = selected.machines < MANY_MACHINES ? undefined : search(condition, query, MAX_SEARCHED_FOR_MANY);
    return further ?? lookUp(selected, query);
  };
}

/** A machine, and a key that none of its executions in question exceeds. */
interface Newest {
  machine: number;
  newest: number;
}

/** Returns the selected machines that have an execution, each with the key `newest` (SQL) of its newest one, the newest first. */
function newestOf(
  statements: StatementCache,
  { key, text, values }: SelectedMachines,
  { newest, parameters }: { newest: string; parameters: object[] },
): Newest[] {
  return statements
    .rows<unknown[], { machine: number; newest: number | null }>(
      `SELECT ${key} AS machine, (${newest}) AS newest FROM ${text}`,
    )
    .all(...values, ...parameters)
    .flatMap((row) => (row.newest === null ? [] : [{ machine: row.machine, newest: row.newest }]))
    .toSorted((a, b) => b.newest - a.newest);
}
