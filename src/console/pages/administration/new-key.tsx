/** The form of a new API key. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { Scope } from '../../../api/fields.ts';
import { transport } from '../../data/client.ts';
import { Dialog } from '../../parts/dialog.tsx';
import { parseDuration } from '../../../api/quantity.ts';
import { TextField } from '../../parts/field.tsx';
import { ErrorNotice } from '../../parts/notice.tsx';
import { CREATED_API_KEY } from '../../../client/http/shapes.ts';

const PATH = '/v1/api-keys';
const SCOPES: readonly (readonly [Scope, meaning: string])[] = [
  ['executions:read', 'see executions and their output'],
  ['executions:write', 'run commands, cancel and signal them'],
  ['machines:read', 'see machines'],
  ['machines:write', 'make, change, wake, put to sleep and remove machines'],
  ['admin', 'everything, keys and tokens too'],
];

interface KeyForm {
  name: string;
  scopes: readonly Scope[];
  machines: string;
  expires: string;
}

export function NewKeyDialog({ onClose, onMade }: { onClose: () => void; onMade: (key: string) => void }) {
  const [form, setForm] = useState<KeyForm>({ name: '', scopes: ['executions:write'], machines: '', expires: '' });
  const queryClient = useQueryClient();
  const making = useMutation({
    mutationFn: () => transport.json('POST', PATH, CREATED_API_KEY, { body: bodyOf(form) }),
    onSuccess: async ({ key = '' }) => {
      await queryClient.invalidateQueries({ queryKey: ['list', PATH] });
      onMade(key);
    },
  });
  const wrongExpiry = form.expires.trim() !== '' && parseDuration(form.expires) === undefined;
  return (
    <Dialog title="Make an API key" onClose={onClose}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          making.mutate();
        }}
      >
        <h2>Make an API key</h2>
        <TextField
          label="Name"
          hint="Describes the purpose of the key."
          value={form.name}
          onChange={(value) => setForm({ ...form, name: value })}
        />
        <ScopeFields scopes={form.scopes} onChange={(scopes) => setForm({ ...form, scopes })} />
        <TextField
          label="Machines"
          hint="Machine ids separated by spaces. Empty: all machines."
          value={form.machines}
          onChange={(value) => setForm({ ...form, machines: value })}
        />
        <TextField
          label="Expires"
          hint="Such as 12h or 90d. Empty: never."
          wrong={wrongExpiry ? 'It must be such as 12h or 90d.' : undefined}
          value={form.expires}
          onChange={(value) => setForm({ ...form, expires: value })}
        />
        {making.error !== null && <ErrorNotice error={making.error} />}
        <div className="row end">
          <button type="button" className="button" onClick={onClose}>
            Keep it
          </button>
          <button
            type="submit"
            className="button primary"
            disabled={form.name.trim() === '' || form.scopes.length === 0 || wrongExpiry || making.isPending}
          >
            Make the key
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function ScopeFields({ scopes, onChange }: { scopes: readonly Scope[]; onChange: (scopes: Scope[]) => void }) {
  return (
    <fieldset>
      <legend>May do</legend>
      {SCOPES.map(([scope, meaning]) => (
        <label key={scope} className="choice">
          <input
            type="checkbox"
            checked={scopes.includes(scope)}
            onChange={({ target: { checked } }) =>
              onChange(checked ? [...scopes, scope] : scopes.filter((other) => other !== scope))
            }
          />
          <span>
            <code>{scope}</code> <span className="soft">{meaning}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

function bodyOf({ name, scopes, machines, expires }: KeyForm) {
  const machineIds = machines.split(/[\s,]+/).filter(Boolean);
  const expiresInMs = expires.trim() === '' ? undefined : parseDuration(expires);
  return {
    name: name.trim(),
    scopes,
    ...(machineIds.length === 0 ? {} : { machine_ids: machineIds }),
    ...(expiresInMs === undefined ? {} : { expires_in_ms: expiresInMs }),
  };
}
