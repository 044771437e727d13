/** Answers of tools to a model: results as text, and errors with advice on how to continue. */
import { ExecplaneError, type Execution, type ExecutionHandle, hasEnded, RefusedError } from '../client/main.ts';
import { headAndTail, SHOWN_BYTES } from './cut.ts';

export interface ToolAnswer {
  [key: string]: unknown;
  content: { type: 'text'; text: string }[];
  isError?: boolean;
}

/** Returns a successful answer with this text. */
export function answer(text: string): ToolAnswer {
  return { content: [{ type: 'text', text }] };
}

/** A mistake in a call of a tool. The message contains advice on how to continue. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
}

/** Runs a tool. A mistake in the call, or an error of Execplane, becomes an answer; any other error is thrown. */
export async function answered(tool: () => Promise<string>): Promise<ToolAnswer> {
  try {
    return answer(await tool());
  } catch (error) {
    if (error instanceof ToolError) return { ...answer(error.message), isError: true };
    if (!(error instanceof ExecplaneError)) throw error;
    return { ...answer(`${error.message}${adviceFor(error)}`), isError: true };
  }
}

function adviceFor(error: ExecplaneError): string {
  if (!(error instanceof RefusedError)) return '';
  if (error.status === 404) return '\nCheck the id: list_machines shows the machines.';
  if (error.status === 403)
    return '\nThe key of this connection does not allow this. Ask the user, or use another tool.';
  if (error.retryable) return '\nTry again in a moment.';
  return '';
}

/** Returns the status of an execution, and the beginning and the end of its output. */
export async function report(execution: Execution, handle: ExecutionHandle): Promise<string> {
  const ids = `machine_id ${execution.machine_id}, execution_id ${execution.execution_id}`;
  const output = (await Promise.all([excerpt(execution, handle, 'stdout'), excerpt(execution, handle, 'stderr')]))
    .filter((text) => text !== '')
    .join('\n');
  return `${headline(execution)}\n(${ids})\n${output || '(no output)'}`;
}

function headline(execution: Execution): string {
  if (execution.status === 'wake_in_progress')
    return 'Waiting: the machine is offline. The command starts when it is back.';
  if (execution.status === 'queued') return 'Waiting: the command has not started yet.';
  if (!hasEnded(execution)) {
    return 'Still running. Check it again with get_execution or read_output, send input with write_stdin, or end it with cancel_execution.';
  }
  if (execution.status === 'succeeded') return 'Succeeded, exit code 0.';
  const { exit_code: exitCode, error_message: message, error_code: code } = execution;
  if (exitCode === undefined) return `${execution.status}: ${message ?? code}`;
  return code === 'nonzero_exit'
    ? `Failed, exit code ${exitCode}.`
    : `${execution.status}, exit code ${exitCode}: ${message}`;
}

async function excerpt(execution: Execution, handle: ExecutionHandle, stream: 'stdout' | 'stderr'): Promise<string> {
  const total = execution[`${stream}_bytes`] ?? 0;
  if (total === 0) return '';
  const head = await handle.part(stream, { offset: 0, length: SHOWN_BYTES });
  if (execution[`${stream}_truncated`] === true) return truncatedExcerpt(handle, { stream, head, total });
  const rest = total - head.length;
  const length = Math.min(rest, SHOWN_BYTES);
  const tail = length <= 0 ? new Uint8Array() : await handle.part(stream, { offset: total - length, length });
  return headAndTail({ stream, head, tail, total });
}

/** Returns the excerpt of a truncated stream, of which the server kept the beginning and, separately, the end. */
async function truncatedExcerpt(
  handle: ExecutionHandle,
  { stream, head, total }: { stream: 'stdout' | 'stderr'; head: Uint8Array; total: number },
): Promise<string> {
  const output = await handle.output({ tail: 0 });
  const end = new TextEncoder().encode(output[`${stream}_tail`] ?? '');
  const text = headAndTail({ stream, head, tail: end.subarray(-SHOWN_BYTES), total });
  return `${text}\n[The server did not keep all of ${stream}: the beginning, and its last ${end.length} bytes.]`;
}
