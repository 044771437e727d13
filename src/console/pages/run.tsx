/** Runs a command on one machine, or on all machines with some labels. */
import { useMutation } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { useLocation, useSearchParams } from 'wouter';
import { BATCHES } from '../data/batches.ts';
import { transport } from '../data/client.ts';
import { executionsPath } from '../data/executions.ts';
import { CodeBlock } from '../parts/code-block.tsx';
import { SCHEDULES } from '../data/schedules.ts';
import { Field, Segments, TextField } from '../parts/field.tsx';
import { ErrorNotice } from '../parts/notice.tsx';
import { EnvironmentFields } from '../run/environment-fields.tsx';
import { batchOf, commandOf, faultsOf, formFrom, type RunForm, requestOf, scheduleOf } from '../run/request.ts';
import { samplesOf, targetOf } from '../run/samples.ts';
import { type SetForm, TargetFields } from '../run/target-fields.tsx';
import { WhenFields } from '../run/when-fields.tsx';
import { BATCH, EXECUTION, SCHEDULE } from '../../client/http/shapes.ts';

/** Starts the command of the form. Returns the path of its page. */
async function start(form: RunForm): Promise<string> {
  if (form.when !== 'now') {
    const schedule = await transport.json('POST', SCHEDULES, SCHEDULE, { body: scheduleOf(form) });
    return `/schedules/${schedule.schedule_id}`;
  }
  if (form.on === 'labels') {
    const batch = await transport.json('POST', BATCHES, BATCH, { body: batchOf(form) });
    return `/batches/${batch.batch_id}`;
  }
  const body = requestOf(form);
  const execution = await transport.json('POST', executionsPath(form.machineId), EXECUTION, { body });
  return `/machines/${execution.machine_id}/executions/${execution.execution_id}`;
}

export function RunPage() {
  const [parameters] = useSearchParams();
  const [form, setForm] = useState(() => formFrom(parameters));
  const [isSubmitted, setSubmitted] = useState(false);
  const [, navigate] = useLocation();
  const faults = faultsOf(form);
  const running = useMutation({
    mutationFn: () => start(form),
    onSuccess: (page) => navigate(page),
  });
  const submit = () => {
    setSubmitted(true);
    if (Object.keys(faults).length === 0) running.mutate();
  };
  const shown = isSubmitted ? faults : {};
  return (
    <>
      <div className="page-head">
        <h1>Run a command</h1>
      </div>
      <form
        className="panel form"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) submit();
        }}
      >
        <div className="body stack">
          <WhenFields form={form} setForm={setForm} wrong={shown} />
          <TargetFields form={form} setForm={setForm} wrong={shown} />
          <CommandField form={form} setForm={setForm} wrong={shown.line ?? shown.argv} />
          <EnvironmentFields env={form.env} onChange={(env) => setForm((before) => ({ ...before, env }))} />
          <StdinField form={form} setForm={setForm} />
          <SmallFields form={form} setForm={setForm} wrong={faults} />
          {running.error !== null && <ErrorNotice error={running.error} />}
          <div className="row">
            <button type="submit" className="button primary" disabled={running.isPending}>
              {form.when === 'now' ? 'Run' : 'Make the schedule'}
            </button>
            <span className="soft small">
              or <kbd>Ctrl Enter</kbd>
            </span>
          </div>
        </div>
      </form>
      {form.when === 'now' && <Samples form={form} />}
    </>
  );
}

function CommandField({ form, setForm, wrong }: { form: RunForm; setForm: SetForm; wrong: string | undefined }) {
  const isShell = form.mode === 'shell';
  const hint = isShell
    ? `Becomes ${JSON.stringify(commandOf({ ...form, line: form.line || '…' }))}: variables, pipes and globs work.`
    : 'One argument per line, the program first. No shell runs: nothing is split or expanded.';
  return (
    <Field label="Command" hint={<span className="mono">{hint}</span>} wrong={wrong}>
      {(id, describedBy) => (
        <>
          <div>
            <Segments
              label="Form of the command"
              value={form.mode}
              options={[
                ['shell', 'Shell line'],
                ['argv', 'Program and arguments'],
              ]}
              onChange={(mode) => setForm((before) => ({ ...before, mode }))}
            />
          </div>
          <textarea
            id={id}
            aria-describedby={describedBy}
            rows={isShell ? 3 : 5}
            spellCheck={false}
            placeholder={isShell ? 'df -h | grep /srv' : 'df\n-h'}
            value={isShell ? form.line : form.argv}
            onChange={({ target: { value } }) =>
              setForm((before) => (isShell ? { ...before, line: value } : { ...before, argv: value }))
            }
          />
        </>
      )}
    </Field>
  );
}

function StdinField({ form, setForm }: { form: RunForm; setForm: SetForm }) {
  return (
    <div className="stack">
      {(form.on === 'labels' || form.when !== 'now' || !form.stdinOpen) && (
        <Field label="Standard input" hint="The server erases it when the command has ended.">
          {(id, describedBy) => (
            <textarea
              id={id}
              aria-describedby={describedBy}
              rows={2}
              spellCheck={false}
              value={form.stdin}
              onChange={({ target: { value } }) => setForm((before) => ({ ...before, stdin: value }))}
            />
          )}
        </Field>
      )}
      {form.on === 'machine' && form.when === 'now' && (
        <label className="choice">
          <input
            type="checkbox"
            checked={form.stdinOpen}
            onChange={({ target: { checked } }) => setForm((before) => ({ ...before, stdinOpen: checked }))}
          />
          Keep standard input open, to send input while the command runs
        </label>
      )}
    </div>
  );
}

const SMALL = [
  ['cwd', 'Working directory', 'the home of the user', 'Directory in which the command starts.'],
  ['user', 'User', 'the user of the agent', 'Works if the agent runs as root and its policy allows it.'],
  ['timeout', 'Timeout', 'none', 'Such as 90s, 5m, 1h30m. After it all processes of the command are killed.'],
  ['memory', 'Memory', 'no limit', 'Such as 512m or 2g, for all processes of the command together.'],
  ['cpus', 'Processors', 'no limit', 'Such as 1.5.'],
  ['pids', 'Processes', 'no limit', 'Processes and threads at the same time.'],
  ['artifacts', 'Keep files', 'none', 'Such as dist/*.tgz, in the working directory. They are kept as artifacts.'],
] as const;

function SmallFields({
  form,
  setForm,
  wrong,
}: {
  form: RunForm;
  setForm: SetForm;
  wrong: ReturnType<typeof faultsOf>;
}) {
  return (
    <div className="columns">
      {SMALL.map(([name, label, placeholder, hint]) => (
        <TextField
          key={name}
          label={label}
          hint={hint}
          wrong={wrong[name]}
          placeholder={placeholder}
          value={form[name]}
          onChange={(value) => setForm((before) => ({ ...before, [name]: value }))}
        />
      ))}
    </div>
  );
}

function Samples({ form }: { form: RunForm }) {
  const [chosen, setChosen] = useState('curl');
  const samples = useMemo(
    () => samplesOf({ target: targetOf(form), body: requestOf(form), url: location.origin }),
    [form],
  );
  const sample = samples.find(({ name }) => name === chosen);
  return (
    <section className="panel form" aria-label="The same command elsewhere">
      <header>
        <h2>The same command elsewhere</h2>
        <Segments
          label="Where"
          value={chosen}
          options={samples.map(({ name }) => [name, name] as const)}
          onChange={setChosen}
        />
      </header>
      <div className="body">{sample !== undefined && <CodeBlock text={sample.text} label={sample.name} />}</div>
    </section>
  );
}
