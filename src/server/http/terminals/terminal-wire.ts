/** Converts a terminal, which is an execution of a shell, to the API's form. */
import type { FastifyRequest } from 'fastify';
import type { TerminalStatus, TerminalWire } from '../../../api/terminal.ts';
import { ApiError } from '../../../core/errors.ts';
import type { Execution } from '../../../store/store.ts';
import type { ServerConfig } from '../../config.ts';

/** Error codes of ends after which a terminal is closed: the shell has run. */
const CLOSED_BY = new Set(['nonzero_exit', 'signaled', 'cancelled', 'agent_stopped', 'oom_killed', 'machine_removed']);

/** Returns the status of a terminal for the status of its execution. */
export function terminalStatus({ status, errorCode }: Pick<Execution, 'status' | 'errorCode'>): TerminalStatus {
  switch (status) {
    case 'wake_in_progress':
    case 'queued':
      return 'wake_in_progress';
    case 'running':
      return 'ready';
    case 'succeeded':
    case 'cancelled':
      return 'closed';
    case 'expired':
      return 'expired';
    case 'failed':
      return errorCode !== undefined && CLOSED_BY.has(errorCode) ? 'closed' : 'failed';
  }
}

/** Converts a terminal. `retryAfterMs`: time after which to poll it while it waits for its machine. */
export function terminalWire(execution: Execution, baseUrl: string, retryAfterMs: number): TerminalWire {
  const { executionId, machineId, tty = { width: 0, height: 0 }, createdAt, startedAt, expiresAt } = execution;
  const status = terminalStatus(execution);
  const ended = status === 'expired' || status === 'failed';
  return {
    terminal_id: executionId,
    machine_id: machineId,
    status,
    width: tty.width,
    height: tty.height,
    created_at: new Date(createdAt).toISOString(),
    protocol: 'websocket',
    ...(status === 'ready' && { stream_url: streamUrl(execution, baseUrl) }),
    ...(startedAt !== undefined && { ready_at: new Date(startedAt).toISOString() }),
    ...(status === 'wake_in_progress' && {
      expires_at: new Date(expiresAt).toISOString(),
      retry_after_ms: retryAfterMs,
    }),
    ...(ended && execution.errorCode !== undefined && { error_code: execution.errorCode }),
    ...(ended && execution.errorMessage !== undefined && { error_message: execution.errorMessage }),
  };
}

/** Returns the URL of a terminal's stream below `baseUrl`. */
export function streamUrl({ machineId, executionId }: Execution, baseUrl: string): string {
  return `${baseUrl.replace(/^http/, 'ws')}/v1/machines/${machineId}/terminals/${executionId}/stream`;
}

/** Returns the URL by which clients reach the server: the setting, else the one of this request. */
export function baseUrlOf(request: FastifyRequest, { publicUrl }: Pick<ServerConfig, 'publicUrl'>): string {
  return publicUrl ?? `${request.protocol}://${request.host}`;
}

/** Returns the refusal of a stream. It is retryable only if the terminal waits for its machine. */
export function notReady(status: string): ApiError {
  return new ApiError('INVALID_STATE', {
    message: `The terminal is ${status}, not ready.`,
    retryable: status === 'wake_in_progress',
    details: { current_status: status, expected_status: 'ready' },
  });
}
