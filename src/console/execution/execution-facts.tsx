/** The facts of an execution. */
import type { Execution } from '../data/executions.ts';
import { Age } from '../parts/age.tsx';
import { CopyButton } from '../parts/code-block.tsx';
import { bytesText, durationText } from '../parts/duration.ts';
import { FactsPanel } from '../parts/facts-panel.tsx';
import { Took } from './execution-table.tsx';

export function ExecutionFacts({ execution }: { execution: Execution }) {
  const { execution_id: id, exit_code: exitCode, signal, cwd, env_keys: names, usage } = execution;
  const printed = (execution.stdout_bytes ?? 0) + (execution.stderr_bytes ?? 0);
  const facts = [
    ['Created', <Age key="created" at={execution.created_at} />],
    ['Took', <Took key="took" execution={execution} />],
    ['Exit code', exitCode === undefined ? undefined : String(exitCode)],
    ['Ended by signal', signal === undefined ? undefined : String(signal)],
    ['Printed', execution.stdout_bytes === undefined ? undefined : bytesText(printed)],
    [
      'Waits until',
      execution.started_at === undefined && execution.completed_at === undefined ? (
        <Age key="expires" at={execution.expires_at} />
      ) : undefined,
    ],
    ['Processor time', usage === undefined ? undefined : cpuText(usage)],
    ['Memory at most', usage === undefined ? undefined : bytesText(usage.max_memory_bytes)],
    ['Disk', usage === undefined ? undefined : diskText(usage)],
    ['Working directory', cwd === undefined ? undefined : <code key="cwd">{cwd}</code>],
    ['Environment', names === undefined ? undefined : <code key="env">{names.join(', ')}</code>],
  ] as const;
  return (
    <FactsPanel facts={facts}>
      <details className="body">
        <summary>Argv and id</summary>
        <div>
          <code>{JSON.stringify(execution.command)}</code>
        </div>
        <div className="row">
          <code>{id}</code> <CopyButton text={id} label="Copy the id" />
        </div>
      </details>
    </FactsPanel>
  );
}

type Usage = NonNullable<Execution['usage']>;

function cpuText({ cpu_user_ms: user, cpu_system_ms: system }: Usage): string {
  return `${durationText(user + system)} (${durationText(system)} in the kernel)`;
}

/** Not known for every file system. */
function diskText({ io_read_bytes: read, io_write_bytes: written }: Usage): string | undefined {
  if (read === undefined || written === undefined) return undefined;
  return `${bytesText(read)} read, ${bytesText(written)} written`;
}
