/** Executions in a table, newest first. */
import { Link } from 'wouter';
import type { Execution } from '../data/executions.ts';
import { useRowKeys } from '../shell/use-row-keys.ts';
import { Age, useNow } from '../parts/age.tsx';
import { commandText } from '../data/command.ts';
import { durationText } from '../parts/duration.ts';
import { ExecutionStatus } from '../parts/status.tsx';

export interface ExecutionTableProps {
  executions: readonly Execution[];
  /** Whether the machine of each execution is shown; `first`: as the first column, because all run the same command. */
  machine: 'hidden' | 'shown' | 'first';
}

export function ExecutionTable({ executions, machine }: ExecutionTableProps) {
  const isFirst = machine === 'first';
  const chosen = useRowKeys(executions.map(pathOf));
  return (
    <table className="table" aria-label="Executions">
      <thead>
        <tr>
          <th scope="col" className="col-status">
            State
          </th>
          {isFirst && <th scope="col">Machine</th>}
          <th scope="col" className={isFirst ? 'optional' : ''}>
            Command
          </th>
          {machine === 'shown' && (
            <th scope="col" className="col-machine optional">
              Machine
            </th>
          )}
          <th scope="col" className="col-result optional">
            Result
          </th>
          <th scope="col" className="col-short optional">
            Took
          </th>
          <th scope="col" className="col-age">
            Created
          </th>
        </tr>
      </thead>
      <tbody>
        {executions.map((execution, index) => (
          <tr key={execution.execution_id} className={index === chosen ? 'chosen' : ''}>
            <td>
              <ExecutionStatus status={execution.status} />
            </td>
            {isFirst && (
              <td>
                <Link href={pathOf(execution)}>{execution.machine_id}</Link>
              </td>
            )}
            <td className={isFirst ? 'optional' : ''}>
              <Link href={pathOf(execution)} className="mono" title={commandText(execution.command)}>
                {commandText(execution.command)}
              </Link>
            </td>
            {machine === 'shown' && (
              <td className="optional">
                <Link href={`/machines/${execution.machine_id}`}>{execution.machine_id}</Link>
              </td>
            )}
            <td className="optional" title={execution.error_message}>
              {resultText(execution)}
            </td>
            <td className="optional">
              <Took execution={execution} />
            </td>
            <td>
              <Age at={execution.created_at} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The time from its start to its end, or until now. */
export function Took({ execution: { started_at: started, completed_at: completed } }: { execution: Execution }) {
  const now = useNow();
  if (started === undefined) return '–';
  return durationText((completed === undefined ? now : Date.parse(completed)) - Date.parse(started));
}

/** The result in a word or two. The message has the details. */
function resultText({ exit_code: exitCode, signal, error_code: code }: Execution): string {
  if (code !== undefined && code !== 'nonzero_exit' && code !== 'signaled') return code.replaceAll('_', ' ');
  if (signal !== undefined) return `signal ${signal}`;
  return exitCode === undefined ? '' : `exit ${exitCode}`;
}

function pathOf({ machine_id: machineId, execution_id: executionId }: Execution): string {
  return `/machines/${machineId}/executions/${executionId}`;
}
