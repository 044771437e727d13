/** Describes an execution for people. */
import type { Execution } from '../../client/main.ts';
import { span } from './age.ts';

/** Age from which the time of waiting is mentioned, ms. */
const NEW_MS = 5000;

/** Returns its status; `waiting` while its machine is offline. */
export function statusWord({ status }: Pick<Execution, 'status'>): string {
  return status === 'wake_in_progress' ? 'waiting' : status;
}

/** Returns the end of an execution: `exit 3`, `signal 9`, or its error code. Empty before its end. */
export function resultWord(execution: Pick<Execution, 'exit_code' | 'signal' | 'error_code'>): string {
  if (execution.exit_code !== undefined) return `exit ${execution.exit_code}`;
  if (execution.signal !== undefined) return `signal ${execution.signal}`;
  return execution.error_code ?? '';
}

/** Returns the usage: processor time, memory, and bytes of block devices if they are known. */
export function usageWords({ usage }: Pick<Execution, 'usage'>): string | undefined {
  if (usage === undefined) return undefined;
  const { io_read_bytes: read, io_write_bytes: written } = usage;
  const io = [
    ...(read === undefined ? [] : [`${sizeWord(read)} read`]),
    ...(written === undefined ? [] : [`${sizeWord(written)} written`]),
  ];
  const processor = `${secondsWord(usage.cpu_user_ms)} user, ${secondsWord(usage.cpu_system_ms)} system`;
  return [processor, `${sizeWord(usage.max_memory_bytes)} memory`, ...io].join(', ');
}

/** Returns the reason of a state, and the event that ends the state, as fields to show. */
export function reasonFields(reason: Execution['reason']): { reason?: string; next?: string } {
  if (reason === undefined) return {};
  return { reason: reason.message, ...(reason.next === undefined ? {} : { next: reason.next }) };
}

/** Formats the reason of a wait in one line, with its duration and the event that ends it. `now`: ms since the epoch. */
export function waitWords(
  { message, since, next }: NonNullable<Execution['reason']>,
  now: number = Date.now(),
): string {
  const age = now - Date.parse(since);
  const sentence = age < NEW_MS ? `${message}.` : `${message} (for ${span(age)}).`;
  return next === undefined ? sentence : `${sentence} ${next}`;
}

function secondsWord(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

function sizeWord(bytes: number): string {
  return bytes < 1024 ** 3 ? `${(bytes / 1024 ** 2).toFixed(1)} MiB` : `${(bytes / 1024 ** 3).toFixed(2)} GiB`;
}
