/** One execution: its facts, its timeline, its output. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { Link } from 'wouter';
import { isTerminal } from '../../core/execution.ts';
import { transport } from '../data/client.ts';
import { type Execution, executionPath, executionQuery } from '../data/executions.ts';
import { useMay } from '../data/session.ts';
import { MAX_FOLLOWED_BYTES, useEvents } from '../output/use-events.ts';
import { OutputPanel } from '../output/output-panel.tsx';
import { RangePanel } from '../output/range-panel.tsx';
import { Artifacts } from '../execution/artifacts.tsx';
import { Age } from '../parts/age.tsx';
import { commandText } from '../data/command.ts';
import { Unavailable } from '../parts/empty.tsx';
import { KeptEnds } from '../execution/kept-ends.tsx';
import { ExecutionFacts } from '../execution/execution-facts.tsx';
import { ErrorNotice, Notice } from '../parts/notice.tsx';
import { ExecutionStatus } from '../parts/status.tsx';
import { Timeline } from '../execution/timeline.tsx';
import { runAgainPath } from '../run/request.ts';
import { StdinPanel } from '../run/stdin-panel.tsx';
import { EXECUTION } from '../../client/http/shapes.ts';

export function ExecutionPage({ machineId, executionId }: { machineId: string; executionId: string }) {
  const execution = useQuery(executionQuery(machineId, executionId));
  if (execution.data === undefined) {
    return <Unavailable title={executionId} error={execution.error} />;
  }
  return <ExecutionView key={executionId} execution={execution.data} />;
}

/** The reason why an execution has not started, and the event that starts it. */
function WhyItWaits({ execution: { status, reason } }: { execution: Execution }) {
  if (reason === undefined || (status !== 'queued' && status !== 'wake_in_progress')) return null;
  return (
    <Notice tone="busy" title={sentence(reason.message)}>
      <p>
        {reason.next}
        {reason.until !== undefined && (
          <>
            {' '}
            It expires <Age at={reason.until} />.
          </>
        )}
      </p>
    </Notice>
  );
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function ExecutionView({ execution }: { execution: Execution }) {
  const { machine_id: machineId, execution_id: executionId, status, error_message: reason } = execution;
  const mayWrite = useMay('executions:write');
  return (
    <>
      <div className="page-head">
        <div className="stack-tight">
          <div className="row">
            <ExecutionStatus status={status} />
            <span className="soft small">
              on <Link href={`/machines/${machineId}`}>{machineId}</Link>
            </span>
          </div>
          <h1 className="mono">{commandText(execution.command)}</h1>
        </div>
        <Actions execution={execution} />
      </div>
      {reason !== undefined && status !== 'cancelled' && (
        <Notice tone={status === 'failed' ? 'bad' : 'warn'} title={reason}>
          <Remedy execution={execution} />
        </Notice>
      )}
      <WhyItWaits execution={execution} />
      <ExecutionFacts execution={execution} />
      <Artifacts execution={execution} />
      {isLarge(execution) ? (
        <RangePanel machineId={machineId} executionId={executionId} />
      ) : (
        <Followed execution={execution} />
      )}
      <KeptEnds execution={execution} />
      {mayWrite && status === 'running' && <StdinPanel path={executionPath(machineId, executionId)} />}
    </>
  );
}

/** The live log and the timeline that is in it. */
function Followed({ execution }: { execution: Execution }) {
  const { machine_id: machineId, execution_id: executionId } = execution;
  const events = useEvents(machineId, executionId);
  const queryClient = useQueryClient();
  // The log contains the end before the execution is fetched again.
  useEffect(() => {
    if (events.ended) void queryClient.invalidateQueries({ queryKey: ['execution', machineId, executionId] });
  }, [events.ended, queryClient, machineId, executionId]);
  return (
    <>
      {events.away && (
        <Notice tone="warn" title="The server cannot be reached">
          <p>The command keeps running and its output is kept. The missing output appears when the server is back.</p>
        </Notice>
      )}
      {events.error !== undefined && <ErrorNotice error={events.error} />}
      {events.full && (
        <Notice tone="warn" title="More output than a page can hold">
          <p>
            The rest is not shown live. When the command has ended, you can read all of it here in parts, or download
            it.
          </p>
        </Notice>
      )}
      <OutputPanel
        log={events.log}
        version={events.version}
        live={!isTerminal(execution.status)}
        numbered
        chooseStream
        empty={events.ended ? 'No output.' : 'No output yet.'}
        note={truncationNote(execution)}
      />
      <Timeline events={events.lifecycle} />
    </>
  );
}

function Actions({ execution }: { execution: Execution }) {
  const { machine_id: machineId, execution_id: executionId, status } = execution;
  const path = executionPath(machineId, executionId);
  const mayWrite = useMay('executions:write');
  const queryClient = useQueryClient();
  const onSuccess = () => queryClient.invalidateQueries({ queryKey: ['execution', machineId, executionId] });
  const cancelling = useMutation({ mutationFn: () => transport.json('DELETE', path, EXECUTION), onSuccess });
  const signalling = useMutation({
    mutationFn: (signal: string) => transport.json('POST', `${path}/signal`, EXECUTION, { body: { signal } }),
    onSuccess,
  });
  const over = isTerminal(status);
  const error = cancelling.error ?? signalling.error;
  return (
    <div className="row">
      {(['stdout', 'stderr'] as const).map((stream) =>
        (execution[`${stream}_bytes`] ?? 0) > 0 ? (
          <a key={stream} className="button" href={`${path}/output/${stream}`} download={`${executionId}.${stream}`}>
            Save {stream}
          </a>
        ) : null,
      )}
      {mayWrite && status === 'running' && <SignalChoice onSend={(signal) => signalling.mutate(signal)} />}
      {mayWrite && !over && (
        <button
          type="button"
          className="button danger"
          disabled={cancelling.isPending || cancelling.isSuccess}
          onClick={() => cancelling.mutate()}
        >
          {cancelling.isSuccess ? 'Cancelling …' : 'Cancel'}
        </button>
      )}
      {mayWrite && (
        <Link href={runAgainPath(execution)} className="button primary">
          Run again
        </Link>
      )}
      {error !== null && <ErrorNotice error={error} />}
    </div>
  );
}

/** Common signals. The API accepts any signal of Linux. */
const SIGNALS = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGTERM',
  'SIGKILL',
  'SIGSTOP',
  'SIGCONT',
] as const;

function SignalChoice({ onSend }: { onSend: (signal: string) => void }) {
  const [chosen, setChosen] = useState('');
  return (
    <select
      aria-label="Send a signal"
      className="signal"
      value={chosen}
      onChange={({ target: { value } }) => {
        if (value !== '') onSend(value);
        setChosen('');
      }}
    >
      <option value="">Signal …</option>
      {SIGNALS.map((signal) => (
        <option key={signal}>{signal}</option>
      ))}
    </select>
  );
}

const REMEDIES: Readonly<Record<string, string>> = {
  command_not_found:
    'The program was not found in the PATH of the command. No shell runs unless the command names one.',
  permission_denied: 'The file is not executable for the user that the command ran as.',
  cwd_not_found: 'The working directory is missing on that machine, or is not a directory.',
  agent_lost: 'The machine rebooted, or its agent was offline too long: the outcome of the command cannot be known.',
  policy_denied: 'The policy file of the machine decides what may run there (docs/policy.md).',
  start_timed_out: 'Its machine was offline or busy until the execution expired. Check whether the machine is online.',
  execution_timed_out: 'Its timeout passed, and all of its processes were killed.',
};

function Remedy({ execution: { error_code: code } }: { execution: Execution }) {
  const text = code === undefined ? undefined : REMEDIES[code];
  return text === undefined ? null : <p>{text}</p>;
}

function isLarge({ status, stdout_bytes: stdout = 0, stderr_bytes: stderr = 0 }: Execution): boolean {
  return isTerminal(status) && stdout + stderr > MAX_FOLLOWED_BYTES;
}

function truncationNote(execution: Execution): string | undefined {
  const cut = (['stdout', 'stderr'] as const).filter((stream) => execution[`${stream}_truncated`] === true);
  return cut.length === 0
    ? undefined
    : `${cut.join(' and ')}: the beginning. The rest is above the server's limit, which keeps the end as well.`;
}
