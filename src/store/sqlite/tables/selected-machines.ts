/** SQL that selects machines by their ids, by their labels, or by both. */
import type { LabelSelector } from '../../../core/machines/labels.ts';
import type { Database } from '../file/database.ts';

/** Which machines: those with one of these ids, and with all of these labels. */
export interface MachineSelection {
  machineIds?: readonly string[];
  labels?: readonly LabelSelector[];
}

/** A part of a statement, and the values of its parameters (`?`), in order. */
interface Sql {
  text: string;
  values: readonly string[];
}

/** A join that yields each selected machine once, with its key as `m.id`, and about how many there are. */
export interface SelectedMachines extends Sql {
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
  db: Database,
  labels: readonly LabelSelector[],
): { label: LabelSelector; machines: number }[] {
  const counted = labels.map((label) => {
    const { text, values } = hasLabel('l', label);
    const some = `SELECT 1 FROM machine_labels l WHERE ${text} LIMIT ${MAX_COUNTED}`;
    const count = db.prepare<string[], number>(`SELECT count(*) FROM (${some})`).pluck();
    return { label, machines: count.get(...values) ?? 0 };
  });
  return counted.toSorted((a, b) => a.machines - b.machines);
}

/** Returns the condition that the machine with the key `machine` (SQL) is selected. */
export function isSelected(machine: string, { machineIds, labels = [] }: MachineSelection): Sql {
  const labelled = hasLabels(machine, labels);
  if (machineIds === undefined) return { text: `true ${labelled.text}`, values: labelled.values };
  const keys = 'SELECT m.id FROM json_each(?) j CROSS JOIN machines m ON m.public_id = j.value';
  return {
    text: `${machine} IN (${keys}) ${labelled.text}`,
    values: [JSON.stringify(machineIds), ...labelled.values],
  };
}

/** Returns the join of selected machines: they are found by their ids, or else by the label that the fewest machines have. */
export function selectMachines(db: Database, { machineIds, labels = [] }: MachineSelection): SelectedMachines {
  if (machineIds !== undefined) {
    const ids = [...new Set(machineIds)];
    const labelled = hasLabels('m.id', labels);
    const text = `json_each(?) j CROSS JOIN machines m ON m.public_id = j.value WHERE true ${labelled.text}`;
    return { text, values: [JSON.stringify(ids), ...labelled.values], machines: ids.length };
  }
  const [rarest, ...others] = rarestFirst(db, labels);
  if (rarest === undefined) throw new RangeError('no ids and no labels select machines');
  const first = hasLabel('l', rarest.label);
  const labelled = hasLabels(
    'l.machine_id',
    others.map(({ label }) => label),
  );
  const text = `machine_labels l CROSS JOIN machines m ON m.id = l.machine_id WHERE ${first.text} ${labelled.text}`;
  return { text, values: [...first.values, ...labelled.values], machines: rarest.machines };
}
