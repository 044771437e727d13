import { CliError } from '../cli-error.ts';
import { EXECPLANE_FAILED, exitCodeOf, needsExplaining } from './exit-code.ts';
import { followEvents } from './follow-events.ts';
import { forwardStdin, hasStdin, stdinSize } from './forward-stdin.ts';
import type { Api } from '../http/http.ts';
import { Interruption } from './interruption.ts';
import { ReaderGoneError, writeOutput } from '../terminal/output.ts';
import { printJson } from '../terminal/print.ts';
import { outageOn, StatusLine } from '../terminal/status-line.ts';
import { uploadProgress } from '../terminal/upload-progress.ts';
import { type Execution, type ExecutionEvent, executionPath, isEnd } from '../http/wire.ts';

/** The body of a create, as far as flags set it. */
export interface ExecRequest {
  command: string[];
  cwd?: string;
  env?: Record<string, string>;
  timeout_ms?: number;
  user?: string;
}

interface Mode {
  /** Forward stdin, where there is one. */
  stdin: boolean;
  json: boolean;
}

/** As a shell reports a writer that was ended by SIGPIPE. */
const READER_GONE = 141;

/** Runs a command to its end, with this process's streams as its own. Returns the exit code; failures of ours are told here. */
export async function runExec(api: Api, machineId: string, request: ExecRequest, mode: Mode): Promise<number> {
  const interruption = new Interruption();
  try {
    const forwards = mode.stdin && hasStdin();
    const body = { ...request, ...(forwards ? { stdin_open: true } : {}) };
    const execution = await api.json<Execution>('POST', executionPath(machineId), { body });
    const cancel = () => api.json<Execution>('DELETE', executionPath(machineId, execution.execution_id));
    interruption.arm(cancel);
    const end = await untilEnd(api, execution, { forwards, quiet: mode.json }, cancel);
    if (mode.json) printJson(await api.json('GET', executionPath(machineId, execution.execution_id)));
    return interruption.exitCode ?? explain(end, mode.json);
  } catch (error) {
    if (error instanceof ReaderGoneError) return READER_GONE;
    if (!(error instanceof Error)) throw error;
    process.stderr.write(`execplane: ${error.message}\n`);
    if (error instanceof CliError && error.hint !== undefined) process.stderr.write(`${error.hint}\n`);
    return interruption.exitCode ?? EXECPLANE_FAILED;
  } finally {
    interruption.dispose();
  }
}

/** Passes the streams on until the terminal event, and returns that. */
async function untilEnd(
  api: Api,
  { machine_id: machineId, execution_id: executionId }: Execution,
  { forwards, quiet }: { forwards: boolean; quiet: boolean },
  cancel: () => Promise<unknown>,
): Promise<ExecutionEvent> {
  const ended = new AbortController();
  const line = new StatusLine();
  /** Called once, for an execution begins to run once. */
  const forward = (): void => {
    const sent = line.active ? uploadProgress(line, stdinSize()) : undefined;
    const forwarded = forwardStdin(api, machineId, executionId, ended.signal, sent);
    forwarded.then(() => line.clear()).catch(tellStdinFailure);
  };
  try {
    for await (const event of followEvents(api, machineId, executionId, outageOn(line))) {
      if (event.type !== 'lifecycle') {
        if (!quiet) await passOn(line, event.type, Buffer.from(event.chunk ?? '', 'base64'));
      } else if (isEnd(event.status)) return event;
      else if (event.status === 'running' && forwards) forward();
      else if (event.status === 'wake_in_progress') {
        line.say(`${machineId} is away: this waits for its agent (Ctrl-C cancels it)`);
      }
    }
  } catch (error) {
    // Nobody reads what the command prints: as in a shell's pipeline, that ends it.
    if (error instanceof ReaderGoneError) await cancel();
    throw error;
  } finally {
    ended.abort();
    line.clear();
  }
  throw new CliError('the event log ended without an end.');
}

async function passOn(line: StatusLine, stream: 'stdout' | 'stderr', bytes: Buffer): Promise<void> {
  line.clear();
  await writeOutput(stream, bytes);
  line.wrote(process[stream], bytes);
}

function tellStdinFailure(error: Error): void {
  process.stderr.write(`execplane: stdin is no longer forwarded: ${error.message}\n`);
}

function explain(end: ExecutionEvent, quiet: boolean): number {
  if (!quiet && needsExplaining(end)) {
    process.stderr.write(`execplane: ${end.error_message ?? end.error_code}\n`);
  }
  return exitCodeOf(end);
}
