/** The time at which a command runs: immediately, or on a schedule. */
import { useQuery } from '@tanstack/react-query';
import { useDeferredValue } from 'react';
import { RefusedError } from '../../client/http/errors.ts';
import { previewQuery } from '../data/schedules.ts';
import { Field, Segments, TextField } from '../parts/field.tsx';
import { timingOf, type RunForm } from './request.ts';
import type { SetForm } from './target-fields.tsx';
import { shortTime } from '../parts/duration.ts';

type Faults = Partial<Record<keyof RunForm, string>>;

/** Number of next times that are shown. */
const SHOWN = 3;
const OVERLAPS = [
  ['skip', 'leave it out'],
  ['queue', 'let it wait'],
  ['cancel', 'cancel the run before it'],
] as const;

export function WhenFields({ form, setForm, wrong }: { form: RunForm; setForm: SetForm; wrong: Faults }) {
  return (
    <div className="stack">
      <Segments
        label="When it runs"
        value={form.when}
        options={[
          ['now', 'Now'],
          ['cron', 'At times'],
          ['every', 'Every so often'],
        ]}
        onChange={(when) => setForm((before) => ({ ...before, when }))}
      />
      {form.when !== 'now' && <ScheduleFields form={form} setForm={setForm} wrong={wrong} />}
    </div>
  );
}

function ScheduleFields({ form, setForm, wrong }: { form: RunForm; setForm: SetForm; wrong: Faults }) {
  const preview = usePreview(form);
  const text = (name: 'cron' | 'timeZone' | 'every' | 'name', label: string, placeholder: string, hint?: string) => (
    <TextField
      label={label}
      hint={hint}
      wrong={wrong[name]}
      placeholder={placeholder}
      value={form[name]}
      onChange={(value) => setForm((before) => ({ ...before, [name]: value }))}
    />
  );
  return (
    <div className="columns">
      {form.when === 'cron'
        ? text('cron', 'Cron expression', '0 3 * * MON-FRI', preview || 'Minute, hour, day, month, weekday.')
        : text('every', 'Every', '15m', preview || 'Such as 15m or 1h30m.')}
      {form.when === 'cron' && text('timeZone', 'Time zone', 'UTC', 'Such as Europe/Berlin.')}
      <Field label="If the previous run is unfinished">
        {(id) => (
          <select
            id={id}
            value={form.overlap}
            onChange={({ target }) => setForm((before) => ({ ...before, overlap: target.value as RunForm['overlap'] }))}
          >
            {OVERLAPS.map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        )}
      </Field>
      {text('name', 'Name', 'nightly backup', 'For people.')}
    </div>
  );
}

/** The next runs as text, or the reason why there are none. Empty until the server has answered. */
function usePreview(form: RunForm): string {
  const timing = timingOf(useDeferredValue(form));
  const { data, error } = useQuery(previewQuery(timing));
  if (timing === undefined) return '';
  if (error instanceof RefusedError) return error.message;
  if (data === undefined) return '';
  const times = data.slice(0, SHOWN).map((at) => shortTime(at));
  return times.length === 0 ? 'It is never due.' : `Next: ${times.join('; ')}.`;
}
