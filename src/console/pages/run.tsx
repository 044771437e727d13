/** Run a command on a machine. */
import { useMutation, useQuery } from '@tanstack/react-query';
import { type Dispatch, type SetStateAction, useMemo, useState } from 'react';
import { useLocation, useSearchParams } from 'wouter';
import { transport } from '../data/client.ts';
import { type Execution, executionsPath } from '../data/executions.ts';
import { machinesQuery } from '../data/machines.ts';
import { useMay } from '../data/session.ts';
import { CodeBlock } from '../parts/code-block.tsx';
import { Field, Segments } from '../parts/field.tsx';
import { ErrorNotice, Notice } from '../parts/notice.tsx';
import { machineStatusText } from '../parts/status.tsx';
import { EnvironmentFields } from '../run/environment-fields.tsx';
import { commandOf, faultsOf, formFrom, type RunForm, requestOf } from '../run/request.ts';
import { samplesOf } from '../run/samples.ts';

type SetForm = Dispatch<SetStateAction<RunForm>>;

export function RunPage() {
  const [parameters] = useSearchParams();
  const [form, setForm] = useState(() => formFrom(parameters));
  const [tried, setTried] = useState(false);
  const [, navigate] = useLocation();
  const faults = faultsOf(form);
  const running = useMutation({
    mutationFn: (): Promise<Execution> =>
      transport.json('POST', executionsPath(form.machineId), { body: requestOf(form) }),
    onSuccess: ({ machine_id: machine, execution_id: id }) => navigate(`/machines/${machine}/executions/${id}`),
  });
  const submit = () => {
    setTried(true);
    if (Object.keys(faults).length === 0) running.mutate();
  };
  const shown = tried ? faults : {};
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
          <MachineField form={form} setForm={setForm} wrong={shown.machineId} />
          <CommandField form={form} setForm={setForm} wrong={shown.line ?? shown.argv} />
          <EnvironmentFields env={form.env} onChange={(env) => setForm((before) => ({ ...before, env }))} />
          <StdinField form={form} setForm={setForm} />
          <SmallFields form={form} setForm={setForm} wrongTimeout={faults.timeout} />
          {running.error !== null && <ErrorNotice error={running.error} />}
          <div className="row">
            <button type="submit" className="button primary" disabled={running.isPending}>
              {running.isPending ? 'Starting …' : 'Run'}
            </button>
            <span className="soft small">
              or <kbd>Ctrl Enter</kbd>
            </span>
          </div>
        </div>
      </form>
      <Samples form={form} />
    </>
  );
}

function MachineField({ form, setForm, wrong }: { form: RunForm; setForm: SetForm; wrong: string | undefined }) {
  const mayList = useMay('machines:read');
  const { data: machines = [] } = useQuery({ ...machinesQuery, enabled: mayList });
  const chosen = machines.find(({ machine_id: id }) => id === form.machineId);
  return (
    <>
      <Field label="Machine" wrong={wrong} hint={mayList ? undefined : 'Its id. This key may not list machines.'}>
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
              {machines.map((machine) => (
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
          <p>The command waits until its agent connects, for an hour unless the server is set otherwise.</p>
        </Notice>
      )}
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
              label="How the command is written"
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
      {!form.stdinOpen && (
        <Field label="Standard input" hint="Erased from the server as soon as the command has ended.">
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
      <label className="choice">
        <input
          type="checkbox"
          checked={form.stdinOpen}
          onChange={({ target: { checked } }) => setForm((before) => ({ ...before, stdinOpen: checked }))}
        />
        Keep standard input open, to type into it while the command runs
      </label>
    </div>
  );
}

const SMALL = [
  ['cwd', 'Working directory', 'the home of the user', 'Directory in which the command starts.'],
  ['user', 'User', 'the user of the agent', 'Works if the agent runs as root and its policy allows it.'],
  ['timeout', 'Timeout', 'none', 'Such as 90s, 5m, 1h30m. After it all processes of the command are killed.'],
  ['artifacts', 'Keep files', 'none', 'Such as dist/*.tgz, in the working directory. They are kept as artifacts.'],
] as const;

function SmallFields({
  form,
  setForm,
  wrongTimeout,
}: {
  form: RunForm;
  setForm: SetForm;
  wrongTimeout: string | undefined;
}) {
  return (
    <div className="columns">
      {SMALL.map(([name, label, placeholder, hint]) => (
        <Field key={name} label={label} hint={hint} wrong={name === 'timeout' ? wrongTimeout : undefined}>
          {(id, describedBy) => (
            <input
              id={id}
              aria-describedby={describedBy}
              placeholder={placeholder}
              autoComplete="off"
              spellCheck={false}
              value={form[name]}
              onChange={({ target: { value } }) => setForm((before) => ({ ...before, [name]: value }))}
            />
          )}
        </Field>
      ))}
    </div>
  );
}

function Samples({ form }: { form: RunForm }) {
  const [chosen, setChosen] = useState('curl');
  const samples = useMemo(
    () => samplesOf({ machineId: form.machineId || 'dm-…', body: requestOf(form), url: location.origin }),
    [form],
  );
  const sample = samples.find(({ name }) => name === chosen);
  return (
    <section className="panel form" aria-label="The same elsewhere">
      <header>
        <h2>The same elsewhere</h2>
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
