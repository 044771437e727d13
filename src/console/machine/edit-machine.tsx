/** Changes the name and the labels of a machine, and of one with a provider the size and the autosleep. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import type { UpdateMachine } from '../../api/machine.ts';
import { transport } from '../data/client.ts';
import { type Machine, machinePath } from '../data/machines.ts';
import { Dialog } from '../parts/dialog.tsx';
import { TextField } from '../parts/field.tsx';
import { labelTexts, parseLabelTexts } from '../parts/labels.tsx';
import { ErrorNotice } from '../parts/notice.tsx';
import { MACHINE_DETAIL } from '../../client/http/shapes.ts';

interface EditForm {
  name: string;
  labels: string;
  vcpu: string;
  memory: string;
  storage: string;
  autosleep: string;
}

const TEXTS = [
  ['name', 'Name', 'A name for people: a-z, 0-9, dots and hyphens.'],
  ['labels', 'Labels', 'Such as role=web site=berlin. They replace the present labels.'],
] as const;
const SIZES = [
  ['vcpu', 'Processors', 'The provider resizes the machine.'],
  ['memory', 'Memory in MiB', 'The provider resizes the machine.'],
  ['storage', 'Storage in GiB', 'It can only grow.'],
  ['autosleep', 'Idle time before sleep', 'Such as 30m or 7d, or never.'],
] as const;

export function EditMachine({ machine, onClose }: { machine: Machine; onClose: () => void }) {
  const [before] = useState(() => formOf(machine));
  // The revision when the form opened, so that changes of another user are not overwritten.
  const [revision] = useState(machine.status.revision);
  const [form, setForm] = useState(before);
  const queryClient = useQueryClient();
  const saving = useMutation({
    mutationFn: () =>
      transport.json('PATCH', machinePath(machine.machine_id), MACHINE_DETAIL, {
        body: changesOf(before, form),
        headers: { 'if-match': `"${revision}"` },
      }),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: ['machines'] });
      onClose();
    },
  });
  const wrongLabels = parseLabelTexts(form.labels) === undefined;
  const field = ([name, label, hint]: (typeof TEXTS | typeof SIZES)[number]) => (
    <TextField
      key={name}
      label={label}
      hint={hint}
      wrong={name === 'labels' && wrongLabels ? 'Each must be written as key=value.' : undefined}
      value={form[name]}
      onChange={(value) => setForm({ ...form, [name]: value })}
    />
  );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    saving.mutate();
  };
  return (
    <Dialog title="Change the machine" onClose={onClose}>
      <form className="stack" onSubmit={submit}>
        <h2>Change {machine.machine_id}</h2>
        {TEXTS.map(field)}
        {machine.provider !== undefined && <div className="columns">{SIZES.map(field)}</div>}
        {saving.error !== null && <ErrorNotice error={saving.error} />}
        <div className="row end">
          <button type="button" className="button" onClick={onClose}>
            Keep it
          </button>
          <button
            type="submit"
            className="button primary"
            disabled={wrongLabels || saving.isPending || Object.keys(changesOf(before, form)).length === 0}
          >
            Save
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function formOf({
  name = '',
  labels,
  vcpu,
  memory_mib: memory,
  storage_gib: storage,
  autosleep_seconds: sleeps,
}: Machine) {
  return {
    name,
    labels: labelTexts(labels).join(' '),
    vcpu: String(vcpu),
    memory: String(memory),
    storage: String(storage),
    autosleep: sleeps === 0 ? 'never' : String(sleeps),
  };
}

/** Only the changed fields. The server refuses a malformed number, and names its field. */
function changesOf(before: EditForm, form: EditForm): UpdateMachine {
  const has = (name: keyof EditForm) => form[name].trim() !== before[name];
  const labels = parseLabelTexts(form.labels);
  return {
    ...(has('name') ? { name: form.name.trim() } : {}),
    ...(has('labels') && labels !== undefined ? { labels } : {}),
    ...(has('vcpu') ? { vcpu: Number(form.vcpu) } : {}),
    ...(has('memory') ? { memory_mib: Number(form.memory) } : {}),
    ...(has('storage') ? { storage_gib: Number(form.storage) } : {}),
    ...(has('autosleep') ? { autosleep: form.autosleep.trim() } : {}),
  };
}
