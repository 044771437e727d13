/** SQL that selects machines by their ids, by their labels, or by both. */
import type { LabelSelector } from '../../../core/machines/labels.ts';
import type { StatementCache } from '../file/statement-cache.ts';

/** Which machines: those with one of these ids, and with all of these labels. */
export interface MachineSelection {
  machineIds?: readonly string[];
  labels?: readonly LabelSelector[];
}

/** A part of a statement, and the values of its parameters (`?`), in order. */
export interface Sql {
  text: string;
  values: readonly string[];
}

/** A FROM clause that yields each selected machine once, its key as `${key}`, and about how many there are. */
export interface SelectedMachines extends Sql {
  key: string;
  machines: number;
}

/** Maximum to which machines with a label are counted, to find the rarest of several labels. */
const MAX_COUNTED = 1000;

/** Returns the condition that a row of `machine_labels`, called `table`, has this label. */
export function hasLabel(table: string, { key, value }: LabelSelector): Sql {
  if (value === undefined) return { text: `${table}.key = ?`, values: [key] };
  return { text: `${table}.key = ? AND ${table}.value = ?`, values: [key, value] };
}

/** Returns the condition that the machine with the key `machine` (SQL) has all of these labels. */
export function hasLabels(machine: string, labels: readonly LabelSelector[]): Sql {
  const conditions = labels.map((label) => hasLabel('o', label));
  const exists = ({ text }: Sql) =>
    `AND EXISTS (SELECT 1 FROM machine_labels o WHERE o.machine_id = ${machine} AND ${text})`;
  return { text: conditions.map(exists).join(' '), values: conditions.flatMap(({ values }) => values) };
}

/** Returns these labels, the one that the fewest machines have first, with the number of its machines up to MAX_COUNTED. */
export function rarestFirst(
  statements: StatementCache,
  labels: readonly LabelSelector[],
): { label: LabelSelector; machines: number }[] {
  const counted = labels.map((label) => {
    const { text, values } = hasLabel('l', label);
    const some = `SELECT 1 FROM machine_labels l WHERE ${text} LIMIT ${MAX_COUNTED}`;
    const count = statements.values<string[], number>(`SELECT count(*) FROM (${some})`);
    return { label, machines: count.get(...values) ?? 0 };
  });
  return counted.toSorted((a, b) => a.machines - b.machines);
}

/** Returns the keys of the machines with these ids and labels. Unknown ids have none. */
export function keysOfIds(
  statements: StatementCache,
  machineIds: readonly string[],
  labels: readonly LabelSelector[],
): number[] {
  const labelled = hasLabels('m.id', labels);
  const text = `SELECT m.id FROM json_each(?) j CROSS JOIN machines m ON m.public_id = j.value WHERE true ${labelled.text}`;
  const ids = JSON.stringify([...new Set(machineIds)]);
  return statements.values<string[], number>(text).all(ids, ...labelled.values);
}

/** Returns the machines with these keys, and the condition that the machine with the key `machine` (SQL) is one of them. */
export function machinesOfKeys(
  machine: string,
  keys: readonly number[],
): { selected: SelectedMachines; condition: Sql } {
  const values = [JSON.stringify(keys)];
  return {
    selected: { key: 'j.value', text: 'json_each(?) j', values, machines: keys.length },
    condition: { text: `AND ${machine} IN (SELECT j.value FROM json_each(?) j)`, values },
  };
}

/** Returns the machines with all of these labels. They are found by the label that the fewest machines have. */
export function labelledMachines(statements: StatementCache, labels: readonly LabelSelector[]): SelectedMachines {
  const [rarest, ...others] = rarestFirst(statements, labels);
  if (rarest === undefined) throw new RangeError('no ids and no labels select machines');
  const first = hasLabel('l', rarest.label);
  const labelled = hasLabels(
    'l.machine_id',
    others.map(({ label }) => label),
  );
  const text = `machine_labels l WHERE ${first.text} ${labelled.text}`;
  return { key: 'l.machine_id', text, values: [...first.values, ...labelled.values], machines: rarest.machines };
}
