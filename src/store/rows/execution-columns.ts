/** Converts an execution to the columns of its rows, in the order in which both databases write them. Absent becomes NULL. */
import type { ArtifactEntry, OpenArtifact } from '../../core/artifact.ts';
import type { ExecutionRecord } from '../../core/decisions/execution-draft.ts';
import type { Execution, NewExecution } from '../../core/execution.ts';
import type { ArtifactsColumn, LaunchColumn } from './json-columns.ts';

/** Returns the columns of the request after its key, from `command` on. */
export function requestColumns(request: NewExecution | Execution, queuedBytes: number): (string | number | null)[] {
  return [
    JSON.stringify(request.command),
    request.cwd ?? null,
    request.envKeys.length === 0 ? '' : JSON.stringify(request.envKeys),
    request.user ?? null,
    request.timeoutMs ?? null,
    request.stdinMode,
    request.callbackUrl ?? null,
    request.createdBy,
    queuedBytes,
    request.declaredArtifacts === undefined ? null : JSON.stringify(request.declaredArtifacts),
    launchColumn(request),
  ];
}

/** Returns the columns of the state that change, from `status` on. */
export function stateColumns(record: ExecutionRecord): (string | number | boolean | null)[] {
  const { execution, kept, lastEventAt, artifact } = record;
  return [
    execution.status,
    execution.startedAt ?? null,
    execution.completedAt ?? null,
    execution.cancelRequestedAt ?? null,
    execution.cancelledBy ?? null,
    execution.dispatchedTo ?? null,
    execution.dispatchNumber ?? null,
    execution.exitCode ?? null,
    execution.signal ?? null,
    execution.errorCode ?? null,
    execution.errorMessage ?? null,
    execution.stdout.bytes,
    kept.stdout,
    execution.stdout.truncated,
    execution.stderr.bytes,
    kept.stderr,
    execution.stderr.truncated,
    execution.lastSequence,
    lastEventAt,
    execution.reported,
    execution.outputMode ?? 'keep',
    artifactsColumn(execution.artifacts, artifact),
    execution.usage === undefined ? null : JSON.stringify(execution.usage),
  ];
}

/** Returns the column `launch`: the launch options that few commands have. NULL: none. */
function launchColumn({ tty, limits }: Pick<Execution, 'tty' | 'limits'>): string | null {
  if (tty === undefined && limits === undefined) return null;
  return JSON.stringify({ ...(tty && { tty }), ...(limits && { limits }) } satisfies LaunchColumn);
}

/** Returns the column `artifacts`: those that the execution has, and the open one. NULL: none. */
function artifactsColumn(entries: readonly ArtifactEntry[] | undefined, open: OpenArtifact | undefined): string | null {
  if (open === undefined && (entries === undefined || entries.length === 0)) return null;
  return JSON.stringify({ ...(entries?.length && { entries }), ...(open && { open }) } satisfies ArtifactsColumn);
}
