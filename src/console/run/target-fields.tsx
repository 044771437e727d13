/** The target of a command: one machine, or all machines with some labels. */
import { useQuery } from '@tanstack/react-query';
import type { Dispatch, SetStateAction } from 'react';
import { type Machine, machinesQuery } from '../data/machines.ts';
import { useMay } from '../data/session.ts';
import { Field, Segments, TextField } from '../parts/field.tsx';
import { Notice } from '../parts/notice.tsx';
import { machineStatusText } from '../parts/status.tsx';
import { labelsOf, type RunForm } from './request.ts';

export type SetForm = Dispatch<SetStateAction<RunForm>>;
type Faults = Partial<Record<keyof RunForm, string>>;

/** Maximum number of machines that are named. The rest is counted. */
const NAMED = 5;

export function TargetFields({ form, setForm, wrong }: { form: RunForm; setForm: SetForm; wrong: Faults }) {
  const mayList = useMay('machines:read');
  const { data: machines = [] } = useQuery({ ...machinesQuery, enabled: mayList });
  const listed = mayList ? machines : undefined;
  return (
    <div className="stack">
      <Segments
        label="Where it runs"
        value={form.on}
        options={[
          ['machine', 'One machine'],
          ['labels', 'All with labels'],
        ]}
        onChange={(on) => setForm((before) => ({ ...before, on }))}
      />
      {form.on === 'machine' ? (
        <MachineField form={form} setForm={setForm} wrong={wrong.machineId} machines={listed} />
      ) : (
        <LabelFields form={form} setForm={setForm} wrong={wrong} machines={listed} />
      )}
    </div>
  );
}

/** `machines`: undefined if the key may not list them. */
type FieldProps<Wrong> = { form: RunForm; setForm: SetForm; wrong: Wrong; machines: readonly Machine[] | undefined };

function MachineField({ form, setForm, wrong, machines }: FieldProps<string | undefined>) {
  const chosen = machines?.find(({ machine_id: id }) => id === form.machineId);
  return (
    <>
      <Field
        label="Machine"
        wrong={wrong}
        hint={machines !== undefined ? undefined : 'Its id. This key may not list machines.'}
      >
        {(id, describedBy) => (
          <>
            <input
              id={id}
              aria-describedby={describedBy}
              list={`${id}-machines`}
              placeholder="dm-…"
              autoComplete="off"
              spellCheck={false}
              value={form.machineId}
              onChange={({ target }) => setForm((before) => ({ ...before, machineId: target.value.trim() }))}
            />
            <datalist id={`${id}-machines`}>
              {machines?.map((machine) => (
                <option key={machine.machine_id} value={machine.machine_id}>
                  {machineStatusText(machine)}
                </option>
              ))}
            </datalist>
          </>
        )}
      </Field>
      {chosen !== undefined && chosen.status.phase !== 'running' && (
        <Notice tone="warn" title={`${chosen.machine_id} is ${machineStatusText(chosen).toLowerCase()}`}>
          <p>
            The command waits until the agent connects. It expires after an hour, unless the server has another limit.
          </p>
        </Notice>
      )}
    </>
  );
}

const LIMITS = [
  ['concurrency', 'At once', '10', 'Number of machines that run the command at the same time.'],
  ['maxFailures', 'Failures allowed', 'any number', 'If more executions fail, no more machines run the command.'],
] as const;

function LabelFields({ form, setForm, wrong, machines }: FieldProps<Faults>) {
  const matching = machines === undefined ? undefined : matchingMachines(form, machines);
  return (
    <>
      <TextField
        label="Labels"
        wrong={wrong.labels}
        hint={
          matching === undefined ? 'Such as role=web site=berlin. Machines must have all of them.' : matchText(matching)
        }
        placeholder="role=web site=berlin"
        value={form.labels}
        onChange={(value) => setForm((before) => ({ ...before, labels: value }))}
      />
      <div className="columns">
        {LIMITS.map(([name, label, placeholder, hint]) => (
          <TextField
            key={name}
            label={label}
            hint={hint}
            wrong={wrong[name]}
            inputMode="numeric"
            placeholder={placeholder}
            value={form[name]}
            onChange={(value) => setForm((before) => ({ ...before, [name]: value.trim() }))}
          />
        ))}
      </div>
    </>
  );
}

/** Undefined while the labels are not complete. Removed machines match nothing. */
function matchingMachines(form: RunForm, machines: readonly Machine[]): Machine[] | undefined {
  const selector = labelsOf(form);
  if (selector === undefined) return undefined;
  return machines.filter(
    ({ labels = {}, status }) =>
      status.phase !== 'destroyed' && Object.entries(selector).every(([key, value]) => labels[key] === value),
  );
}

function matchText(machines: readonly Machine[]): string {
  if (machines.length === 0) return 'No machine has these labels.';
  const names = machines.slice(0, NAMED).map(({ machine_id: id }) => id);
  const more = machines.length - names.length;
  const count = machines.length === 1 ? '1 machine' : `${machines.length} machines`;
  return `${count} now: ${names.join(', ')}${more > 0 ? `, and ${more} more` : ''}.`;
}
