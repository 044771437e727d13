/** Parses the kind and the payload of a report. They come from another program, so each value is checked. */
import { FAILURE_CODES, type FailureCode, type Outcome } from '../execution.ts';
import { type RawRecord, REPORT_KIND, type UsagePayload } from '../report.ts';

/** Bytes that a stream produced, and whether the agent did not keep all of them. */
export interface Produced {
  bytes: number;
  truncated: boolean;
}

export type ReportMeaning =
  | { type: 'started' }
  | { type: 'output'; stream: 'stdout' | 'stderr' }
  | { type: 'tail'; stream: 'stdout' | 'stderr' }
  | { type: 'ended'; outcome: Outcome; stdout: Produced; stderr: Produced; usage?: UsagePayload }
  | { type: 'progress'; stdout: Produced; stderr: Produced }
  | { type: 'artifact'; name: string }
  | { type: 'artifact_data' }
  | { type: 'artifact_end'; name: string; sha256: string | undefined; reason: string | undefined }
  /** A kind from a newer agent, or a payload that cannot be parsed and does not matter. */
  | { type: 'ignored' };

type Fields = Readonly<Record<string, unknown>>;

/** Returns the meaning of a record. Total. An `ended` that cannot be parsed still ends the execution: as agent_lost. */
export function meaningOf(record: RawRecord): ReportMeaning {
  switch (record.kind) {
    case REPORT_KIND.started:
      return { type: 'started' };
    case REPORT_KIND.stdout:
      return { type: 'output', stream: 'stdout' };
    case REPORT_KIND.stderr:
      return { type: 'output', stream: 'stderr' };
    case REPORT_KIND.stdout_tail:
      return { type: 'tail', stream: 'stdout' };
    case REPORT_KIND.stderr_tail:
      return { type: 'tail', stream: 'stderr' };
    case REPORT_KIND.ended:
      return ended(fieldsOf(record.payload) ?? {});
    case REPORT_KIND.progress: {
      const fields = fieldsOf(record.payload);
      return fields === undefined
        ? { type: 'ignored' }
        : { type: 'progress', stdout: produced(fields, 'stdout'), stderr: produced(fields, 'stderr') };
    }
    case REPORT_KIND.artifact_data:
      return { type: 'artifact_data' };
    case REPORT_KIND.artifact:
      return { type: 'artifact', name: text(fieldsOf(record.payload)?.['name']) ?? '' };
    case REPORT_KIND.artifact_end: {
      const { name, sha256, reason } = fieldsOf(record.payload) ?? {};
      return { type: 'artifact_end', name: text(name) ?? '', sha256: text(sha256), reason: text(reason) };
    }
    default:
      return { type: 'ignored' };
  }
}

function ended(fields: Fields): ReportMeaning {
  return {
    type: 'ended',
    outcome: outcomeOf(fields),
    stdout: produced(fields, 'stdout'),
    stderr: produced(fields, 'stderr'),
    ...usageOf(fields['usage']),
  };
}

/** Returns the usage, if the agent reports it. Values that are not counts are left out. */
function usageOf(value: unknown): { usage?: UsagePayload } {
  if (typeof value !== 'object' || value === null) return {};
  const fields: Fields = { ...value };
  const count = (name: string): number | undefined => {
    const number = integer(fields[name]);
    return number !== undefined && number >= 0 ? number : undefined;
  };
  const [cpu_user_ms, cpu_system_ms, max_memory_bytes] = [
    count('cpu_user_ms'),
    count('cpu_system_ms'),
    count('max_memory_bytes'),
  ];
  if (cpu_user_ms === undefined || cpu_system_ms === undefined || max_memory_bytes === undefined) return {};
  const [io_read_bytes, io_write_bytes] = [count('io_read_bytes'), count('io_write_bytes')];
  return {
    usage: {
      cpu_user_ms,
      cpu_system_ms,
      max_memory_bytes,
      ...(io_read_bytes !== undefined && { io_read_bytes }),
      ...(io_write_bytes !== undefined && { io_write_bytes }),
    },
  };
}

/** Exit codes have 8 bits on POSIX systems, and 32 on others. */
const MAX_EXIT_CODE = 2 ** 32 - 1;
/** Signals of all systems have lower numbers. */
const MAX_SIGNAL = 127;

function outcomeOf(fields: Fields): Outcome {
  const exitCode = integerUpTo(MAX_EXIT_CODE, fields['exit_code']);
  const signal = integerUpTo(MAX_SIGNAL, fields['signal']);
  const ending = {
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(signal === undefined ? {} : { signal }),
  };
  switch (fields['status']) {
    case 'succeeded':
      if (signal === undefined && (exitCode ?? 0) === 0) return { status: 'succeeded', ...ending };
      return { status: 'failed', ...ending, errorCode: codeFor(exitCode, signal), errorMessage: 'The command failed.' };
    case 'cancelled':
      return {
        status: 'cancelled',
        ...ending,
        errorCode: failureCode(fields['error_code']) ?? 'cancelled',
        errorMessage: text(fields['error_message']) ?? 'The execution was cancelled.',
      };
    case 'failed':
      if (fields['error_code'] === TIMED_OUT) return timedOut(ending, text(fields['error_message']));
      return {
        status: 'failed',
        ...ending,
        errorCode: failureCode(fields['error_code']) ?? codeFor(exitCode, signal),
        errorMessage: text(fields['error_message']) ?? 'The command failed.',
      };
    default:
      return {
        status: 'failed',
        errorCode: 'agent_lost',
        errorMessage: "The agent's report of the end could not be read.",
      };
  }
}

/** An agent's error code for a command that it killed because its `timeout_ms` ran out. */
const TIMED_OUT = 'timeout';

function timedOut(ending: Pick<Outcome, 'exitCode' | 'signal'>, message: string | undefined): Outcome {
  const errorMessage = message ?? 'The command ran longer than its timeout_ms and was killed.';
  return { status: 'expired', ...ending, errorCode: 'execution_timed_out', errorMessage };
}

/** Returns the code of a failure whose own code is absent, or unknown to this build (a newer agent). */
function codeFor(exitCode: number | undefined, signal: number | undefined): FailureCode {
  if (signal !== undefined) return 'signaled';
  return (exitCode ?? 0) === 0 ? 'spawn_failed' : 'nonzero_exit';
}

function produced(fields: Fields, stream: 'stdout' | 'stderr'): Produced {
  return {
    bytes: Math.max(0, integer(fields[`${stream}_bytes`]) ?? 0),
    truncated: fields[`${stream}_truncated`] === true,
  };
}

function fieldsOf(payload: Buffer): Fields | undefined {
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function integer(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined;
}

/** Returns an integer from 0 to `maximum`. */
function integerUpTo(maximum: number, value: unknown): number | undefined {
  const number = integer(value);
  return number !== undefined && number >= 0 && number <= maximum ? number : undefined;
}

/** Maximum length of a text in a report, in characters: longer than any of our own agent. */
const MAX_TEXT = 8192;

/** Returns a text that every database can store: bounded, without NUL and lone surrogates. */
function text(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  return value.slice(0, MAX_TEXT).replaceAll('\0', '\ufffd').toWellFormed();
}

function failureCode(value: unknown): FailureCode | undefined {
  return FAILURE_CODES.find((code) => code === value);
}
