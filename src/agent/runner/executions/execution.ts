import type { Held, OutputLimit, Start } from '../../../core/protocol.ts';
import type { EndedPayload, ReportKind } from '../../../core/report.ts';
import { Artifacts } from '../artifacts/artifacts.ts';
import { ARTIFACTS_VARIABLE } from '../artifacts/drop-folder.ts';
import type { ExecutionLog } from '../journal/execution-log.ts';
import { startLongTimer } from '../long-timer.ts';
import type { Spawner, SpawnerEvents, SpawnStage } from '../spawner/spawner.ts';
import { findExecutable } from './executable.ts';
import type { Launch, Prepared } from './launch.ts';
import {
  type Cause,
  type Ending,
  exitEnding,
  failure,
  missingArtifact,
  spawnEnding,
  unstartedEnding,
} from './outcome.ts';
import { Output, type StreamName } from './output.ts';
import { LiveStdin, StdinFeed, type StdinSource } from './stdin.ts';
import { OutputPause } from './output-pause.ts';
import { Termination } from './termination.ts';

/** What an execution needs of the runner around it. */
export interface ExecutionHost {
  prepare(start: Start): Prepared;
  report(log: ExecutionLog, kind: ReportKind, payload: Buffer): void;
  /** Settles when the journal takes more of what can wait. */
  room(): Promise<void>;
  /** It runs under this pid. */
  spawned(log: ExecutionLog, pid: number): void;
  /** The live stdin may have moved. */
  stdinMoved(execution: Execution): void;
  /** Its end is reported (or nobody wants it): its slot is free. */
  over(execution: Execution): void;
}

type Exit = Parameters<SpawnerEvents['exited']>[1];

/** What there is from the call of the spawner on. */
interface Run {
  spawner: Spawner;
  handle: number;
  launch: Launch;
  output: Output;
  termination: Termination;
  artifacts: Artifacts | undefined;
  pause: OutputPause;
  cancelTimeout: () => void;
}

/** One command, from the intent to the report of its end. */
export class Execution {
  readonly log: ExecutionLog;
  readonly stdin: StdinFeed | undefined;
  readonly #live: LiveStdin | undefined;
  readonly #host: ExecutionHost;
  /** Until the spawner has it: it holds env. */
  #start: Start | undefined;
  #run: Run | undefined;
  #state: Held['state'] = 'waiting';
  /** Who wanted its end while the spawner was starting it. */
  #wanted: { cause: Cause; graceMs: number } | undefined;
  #counted: Record<StreamName, number> = { stdout: 0, stderr: 0 };
  /** The highest that came, for a command that is not started yet as well. */
  #limit: OutputLimit | undefined;

  constructor(start: Start, stdin: StdinSource | undefined, log: ExecutionLog, host: ExecutionHost) {
    this.log = log;
    this.stdin = stdin && new StdinFeed(stdin);
    this.#live = stdin instanceof LiveStdin ? stdin : undefined;
    this.#start = start;
    this.#host = host;
  }

  get state(): Held['state'] {
    return this.#state;
  }

  /** The spawner's handle, once it has been called. */
  get handle(): number | undefined {
    return this.#run?.handle;
  }

  /** Calls the spawner, or ends it where that makes no sense. */
  spawn(spawner: Spawner, handle: number): void {
    const start = this.#start;
    if (start === undefined) return;
    const prepared = this.#host.prepare(start);
    if (!prepared.ok) {
      this.#finish(prepared.ending);
      return;
    }
    this.#start = undefined;
    const { launch } = prepared;
    const output = new Output(launch.capBytes, (stream, chunk) => this.#host.report(this.log, stream, chunk));
    const termination = new Termination(spawner, handle);
    const pause = new OutputPause(launch.waitBeyond, {
      pause: () => spawner.pause(handle),
      resume: () => spawner.resume(handle),
    });
    const artifacts = start.artifacts && new Artifacts(start.artifacts, launch.owner);
    this.#run = { spawner, handle, launch, output, termination, artifacts, pause, cancelTimeout: () => {} };
    this.#applyLimit();
    const folder = artifacts?.folder;
    const env = folder === undefined ? launch.request.env : { ...launch.request.env, [ARTIFACTS_VARIABLE]: folder };
    spawner.spawn({ ...launch.request, env, handle });
  }

  started(pid: number): void {
    const run = this.#run;
    if (run === undefined || this.#state !== 'waiting') return;
    this.#state = 'running';
    this.#host.spawned(this.log, pid);
    this.#report('started', { pid });
    const { timeoutMs } = run.launch;
    if (timeoutMs !== undefined) run.cancelTimeout = startLongTimer(timeoutMs, () => run.termination.kill('timeout'));
    this.stdin?.open((bytes, end) => run.spawner.writeStdin(run.handle, bytes, end));
    if (this.#live !== undefined) this.#host.stdinMoved(this);
    if (this.#wanted !== undefined) this.end(this.#wanted.cause, this.#wanted.graceMs);
  }

  failed(stage: SpawnStage, errno: string): void {
    const request = this.#run?.launch.request;
    if (request === undefined || this.#run === undefined) return;
    this.#run.artifacts?.discard();
    const command = request.argv[0] ?? '';
    const exists = findExecutable(command, request.env['PATH'] ?? '', request.cwd) !== undefined;
    this.#finish(spawnEnding(stage, errno, { command, cwd: request.cwd, user: this.#run.launch.user, exists }));
  }

  output(stream: StreamName, bytes: Buffer): void {
    const run = this.#run;
    if (run === undefined) return;
    run.output.push(stream, bytes);
    if (!run.termination.killed) run.pause.taken(stream, run.output.taken(stream));
  }

  /** How far its streams may go. Limits only rise: one that was overtaken changes nothing. */
  limitOutput(limit: OutputLimit): void {
    const before = this.#limit ?? limit;
    if (before.past_limit === 'discard') this.#limit = before;
    else {
      const stdout = Math.max(limit.stdout, before.stdout);
      this.#limit = { ...limit, stdout, stderr: Math.max(limit.stderr, before.stderr) };
    }
    this.#applyLimit();
  }

  /** Bytes produced so far, now that not all of them are kept. */
  counted(stdout: number, stderr: number): void {
    this.#counted = { stdout, stderr };
    if (this.#state === 'running') this.#report('progress', { stdout_bytes: stdout, stderr_bytes: stderr });
  }

  stdinTaken(bytes: number, closed: boolean): void {
    this.stdin?.took(bytes, closed);
    if (this.#live !== undefined) this.#host.stdinMoved(this);
  }

  /** Takes over a piece of live stdin; nothing where it has none. */
  feed(offset: number, bytes: Buffer, close: boolean): void {
    this.#live?.push(offset, bytes, close);
    this.stdin?.pump();
    if (this.#live !== undefined) this.#host.stdinMoved(this);
  }

  /** The main process is gone: that is the end, unless we ended it; then it is when the whole tree is gone. */
  async exited(exit: Exit): Promise<void> {
    const run = this.#run;
    if (run === undefined) return;
    this.#counted = { stdout: exit.stdoutBytes, stderr: exit.stderrBytes };
    run.output.finish();
    run.cancelTimeout();
    if (run.termination.cause !== undefined) await run.termination.gone();
    const ending = exitEnding(exit, run.termination.cause);
    const missing = await run.artifacts?.collect(run.launch.request.cwd, {
      report: (kind, payload) => this.#host.report(this.log, kind, payload),
      room: () => this.#host.room(),
    });
    this.#finish(missing === undefined ? ending : missingArtifact(ending, missing));
  }

  /** Ends it: at once where it waits, else by SIGTERM and, after `graceMs`, SIGKILL. Repeats only make it faster. */
  end(cause: Cause, graceMs: number): void {
    if (this.#run?.artifacts?.collecting) this.#run.artifacts.stop('the execution was ended');
    else if (this.#run === undefined) this.#finish(unstartedEnding(cause));
    else if (this.#state === 'running') {
      this.#run.termination.ask(cause, graceMs);
      // It has ended by itself: only the rest in its pipes, which is little, waits to be read.
      if (this.#run.termination.cause === undefined) this.#run.pause.liftLimit();
    } else this.#wanted ??= { cause, graceMs };
  }

  /** Nobody wants to hear of it any more; `log` is settled. What runs is killed. */
  forget(): void {
    if (this.#run?.artifacts?.collecting) this.#run.artifacts.stop('nobody wants it');
    else if (this.#run === undefined) this.#finish(unstartedEnding('forgotten'));
    else if (this.#state === 'running') this.#run.termination.kill('forgotten');
    else this.#wanted = { cause: 'forgotten', graceMs: 0 };
  }

  /** Sends a signal to the process group, if it runs. */
  signal(number: number): void {
    if (this.#state === 'running') this.#run?.spawner.signal(this.#run.handle, number);
  }

  /** Lets the command wait in its writes, or go on. */
  pause(paused: boolean): void {
    if (this.#run === undefined || this.#state !== 'running' || this.#run.termination.killed) return;
    if (this.#run.artifacts?.collecting) return;
    this.#run.pause.hold(paused);
  }

  /** Its fate can't be known any more; nothing of it is left. */
  lost(reason: string): void {
    this.#run?.output.finish();
    this.#run?.artifacts?.stop('the execution was lost');
    this.#finish(failure('agent_lost', reason));
  }

  #applyLimit(): void {
    const { run, limit } = { run: this.#run, limit: this.#limit };
    if (run === undefined || limit === undefined) return;
    if (limit.past_limit === 'wait') run.pause.raiseLimit(limit);
    else {
      run.output.cap('stdout', Math.min(limit.stdout, run.launch.capBytes));
      run.output.cap('stderr', Math.min(limit.stderr, run.launch.capBytes));
      run.pause.liftLimit();
    }
  }

  #finish(ending: Ending): void {
    if (this.#state === 'ended') return;
    const spawned = this.#state === 'running';
    this.#state = 'ended';
    this.#start = undefined;
    this.stdin?.close();
    const run = this.#run;
    run?.cancelTimeout();
    run?.termination.close();
    if (spawned) run?.spawner.release(run.handle);
    this.#report('ended', { ...ending, ...this.#counts() });
    this.#host.over(this);
  }

  #counts(): Pick<EndedPayload, 'stdout_bytes' | 'stderr_bytes' | 'stdout_truncated' | 'stderr_truncated'> {
    const kept = { stdout: this.#run?.output.kept('stdout') ?? 0, stderr: this.#run?.output.kept('stderr') ?? 0 };
    const stdout = Math.max(this.#counted.stdout, kept.stdout);
    const stderr = Math.max(this.#counted.stderr, kept.stderr);
    return {
      stdout_bytes: stdout,
      stderr_bytes: stderr,
      stdout_truncated: stdout > kept.stdout,
      stderr_truncated: stderr > kept.stderr,
    };
  }

  #report(kind: ReportKind, payload: object): void {
    this.#host.report(this.log, kind, Buffer.from(JSON.stringify(payload)));
  }
}
