import type { Held, OutputLimit, Start, Stdin } from '../../../core/protocol.ts';
import type { ReportKind } from '../../../core/report.ts';
import { Artifacts } from '../artifacts/artifacts.ts';
import { ARTIFACTS_VARIABLE } from '../artifacts/drop-folder.ts';
import type { ExecutionLog } from '../journal/execution-log.ts';
import { armTimeout } from './long-timer.ts';
import type { Resolved, SpawnEnd, Spawner, SpawnStage, TerminalSize } from '../spawner/spawner.ts';
import type { ExecutionHost, Run } from './execution-host.ts';
import type { Prepared } from './launch.ts';
import {
  type Cause,
  countFields,
  type Ending,
  exitEnding,
  failure,
  killFailedEnding,
  missingArtifact,
  policyDenied,
  spawnEnding,
  unstartedEnding,
  usageFields,
} from './outcome.ts';
import { Output, type StreamName } from './output.ts';
import { OutputLimits } from './output-limits.ts';
import { OutputPause } from './output-pause.ts';
import { LiveStdin, StdinFeed, type StdinSource } from './stdin.ts';
import { Termination } from './termination.ts';

/** One command, from the intent to the report of its end. */
export class Execution {
  readonly log: ExecutionLog;
  readonly stdin: StdinFeed | undefined;
  readonly #live: LiveStdin | undefined;
  readonly #host: ExecutionHost;
  /** Kept until the spawner has the command. Dropped then, because it contains env. */
  #start: Start | undefined;
  #run: Run | undefined;
  #state: Held['state'] = 'waiting';
  /** The cause of a termination that was requested while the spawner was starting the command. */
  #requestedEnd: { cause: Cause; graceMs: number } | undefined;
  /** The rule of the policy that the resolved file or directory breaks. */
  #refusal: Ending | undefined;
  #handle: number | undefined;
  #usage: SpawnEnd['usage'];
  #counted: Record<StreamName, number> = { stdout: 0, stderr: 0 };
  readonly #limits = new OutputLimits();

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

  /** The spawner's handle, set once the spawner was called. */
  get handle(): number | undefined {
    return this.#handle;
  }

  /** Calls the spawner, or ends the execution if it cannot be started. The user may have to be looked up first. */
  spawn(spawner: Spawner, handle: number): void {
    const start = this.#start;
    if (start === undefined) return;
    this.#handle = handle;
    const prepared = this.#host.prepare(start);
    if (!(prepared instanceof Promise)) this.#prepared(prepared, spawner, handle);
    else {
      prepared
        .then((done) => this.#prepared(done, spawner, handle))
        .catch((error: Error) => this.#finish(failure('spawn_failed', `The start failed: ${error.message}.`)));
    }
  }

  #prepared(prepared: Prepared, spawner: Spawner, handle: number): void {
    if (this.#state === 'ended') return;
    if (!prepared.ok) {
      this.#finish(prepared.ending);
      return;
    }
    const start = this.#start;
    this.#start = undefined;
    const { launch } = prepared;
    const terminal = launch.request.terminal !== undefined;
    const output = new Output({ ...launch, isTerminal: terminal }, (stream, chunk) =>
      this.#host.report(this.log, stream, chunk),
    );
    const onKillFailed = (): void => this.#killFailed();
    const loginShell = start?.login_shell === true;
    const termination = new Termination({ spawner, handle, terminal, loginShell, onKillFailed });
    const pause = new OutputPause(launch.waitBeyond, {
      pause: () => spawner.pause(handle),
      resume: () => spawner.resume(handle),
    });
    // The timeout also limits a start that hangs.
    const cancelTimeout = armTimeout(launch.timeoutMs, () => this.end('timeout', 0));
    const artifacts = start?.artifacts && new Artifacts(start.artifacts, launch.owner, this.#host.dropFolders);
    this.#run = { spawner, handle, launch, output, termination, artifacts, pause, cancelTimeout };
    this.#limits.applyTo({ output, pause, capBytes: launch.capBytes });
    const folder = artifacts?.folder;
    const env = folder === undefined ? launch.request.env : { ...launch.request.env, [ARTIFACTS_VARIABLE]: folder };
    spawner.spawn({ ...launch.request, env, handle });
  }

  /** Checks the resolved file and directory against the policy. Exactly these are used. */
  resolved(resolved: Resolved): void {
    const run = this.#run;
    if (run === undefined || this.#state !== 'waiting') return;
    const { argv } = run.launch.request;
    const rule = this.#host.brokenRule(argv, resolved);
    if (rule === undefined) run.spawner.approve(run.handle);
    else {
      this.#refusal = policyDenied(rule);
      run.spawner.abort(run.handle);
    }
  }

  started(pid: number): void {
    const run = this.#run;
    if (run === undefined || this.#state !== 'waiting') return;
    this.#state = 'running';
    this.#host.spawned(this.log, pid);
    this.#report('started', { pid });
    run.cancelTimeout();
    run.cancelTimeout = armTimeout(run.launch.timeoutMs, () => run.termination.kill('timeout'));
    this.stdin?.open((bytes, end) => run.spawner.writeStdin(run.handle, bytes, end));
    if (this.#live !== undefined) this.#host.stdinMoved(this);
    if (this.#requestedEnd !== undefined) this.end(this.#requestedEnd.cause, this.#requestedEnd.graceMs);
  }

  failed(stage: SpawnStage, errno: string): void {
    const run = this.#run;
    if (run === undefined) return;
    run.artifacts?.discard();
    if (stage === 'aborted') {
      this.#finish(this.#refusal ?? unstartedEnding(this.#requestedEnd?.cause ?? 'forgotten'));
      return;
    }
    const { argv, file, cwd, home, terminal } = run.launch.request;
    const onTerminal = terminal !== undefined;
    const attempt = { command: file ?? argv[0] ?? '', cwd: cwd ?? home, user: run.launch.user, onTerminal };
    this.#finish(spawnEnding(stage, errno, attempt));
  }

  output(stream: StreamName, bytes: Buffer): void {
    const run = this.#run;
    if (run === undefined) return;
    run.output.push(stream, bytes);
    if (!run.termination.killed) run.pause.taken(stream, run.output.taken(stream));
  }

  /** Reports the last bytes of a stream that is past its cap. */
  tail(stream: StreamName, bytes: Buffer): void {
    this.#run?.output.pushTail(stream, bytes);
  }

  /** Sets the output limits of its streams, also before it is started. Limits only rise: an outdated one has no effect. */
  limitOutput(limit: OutputLimit): void {
    this.#limits.raise(limit);
  }

  /** Reports the bytes produced so far, if not all of them are kept. */
  counted(stdout: number, stderr: number): void {
    this.#counted = { stdout, stderr };
    if (this.#state === 'running') this.#report('progress', { stdout_bytes: stdout, stderr_bytes: stderr });
  }

  stdinTaken(bytes: number, closed: boolean): void {
    this.stdin?.consumed(bytes, closed);
    if (this.#live !== undefined && this.stdin?.hasProgress) this.#host.stdinMoved(this);
  }

  /** Accepts a piece of live stdin. Does nothing if the command has no live stdin. */
  feed(piece: Stdin, bytes: Buffer): void {
    const writer = this.#live?.push(piece, bytes);
    this.stdin?.sendMore();
    if (this.#live !== undefined) this.#host.stdinMoved(this, writer);
  }

  /** Handles the exit of the main process. That is the end of the execution, unless it was terminated: then the whole tree has to end. */
  async exited(exit: SpawnEnd): Promise<void> {
    const run = this.#run;
    if (run === undefined) return;
    this.#counted = { stdout: exit.stdoutBytes, stderr: exit.stderrBytes };
    run.output.finish();
    run.output.emitTails((stream, bytes) => this.#host.report(this.log, `${stream}_tail`, bytes));
    run.cancelTimeout();
    this.#usage = exit.usage;
    const outOfMemory = exit.signal !== undefined && run.spawner.outOfMemory(run.handle);
    if (run.termination.cause !== undefined) await run.termination.mainExited();
    const ending = exitEnding({ ...exit, outOfMemory }, run.termination.cause);
    const { home, cwd = '.' } = run.launch.request;
    const missing = await run.artifacts?.collect(
      { home, cwd },
      {
        report: (kind, payload) => this.#host.report(this.log, kind, payload),
        room: () => this.#host.room(),
      },
    );
    this.#finish(missing === undefined ? ending : missingArtifact(ending, missing));
  }

  /** Ends the execution: immediately if it waits, otherwise by SIGTERM (a terminal: SIGHUP) and, after `graceMs`, SIGKILL. Repeated calls can only speed it up. */
  end(cause: Cause, graceMs: number): void {
    if (this.#run?.artifacts?.collecting) this.#run.artifacts.stop('the execution was ended');
    else if (this.#run === undefined) this.#finish(unstartedEnding(cause));
    else if (this.#state === 'running') {
      this.#run.termination.ask(cause, graceMs);
      // The command has ended by itself: only the small rest in its pipes has to be read.
      if (this.#run.termination.cause === undefined) this.#run.pause.liftLimit();
    } else this.#abort(cause, graceMs);
  }

  /** Drops an execution that the server does not need any more. A running command is killed. */
  forget(): void {
    if (this.#run?.artifacts?.collecting) this.#run.artifacts.stop('the execution is not wanted any more');
    else if (this.#run === undefined) this.#finish(unstartedEnding('forgotten'));
    else if (this.#state === 'running') this.#run.termination.kill('forgotten');
    else this.#abort('forgotten', 0);
  }

  /** Sets the size of its terminal, if it has one. */
  resize(size: TerminalSize): void {
    this.#run?.spawner.resize(this.#run.handle, size);
  }

  /** Returns the usage of its processes so far. Undefined if it does not run, or the usage is not known. */
  usage(): SpawnEnd['usage'] {
    return this.#state === 'running' ? this.#run?.spawner.usage(this.#run.handle) : undefined;
  }

  /** Sends a signal to the process group, if it runs. */
  signal(number: number): void {
    if (this.#state === 'running') this.#run?.spawner.signal(this.#run.handle, number);
  }

  /** Makes the command wait in its writes, or continue. */
  pause(paused: boolean): void {
    if (this.#run === undefined || this.#state !== 'running' || this.#run.termination.killed) return;
    if (this.#run.artifacts?.collecting) return;
    this.#run.pause.hold(paused);
  }

  /** Ends an execution whose outcome cannot be known and of which no process is left. */
  lost(reason: string): void {
    this.#run?.output.finish();
    this.#run?.artifacts?.stop('the execution was lost');
    this.#finish(failure('agent_lost', reason));
  }

  /** Ends a command that is not known to run yet: before its start, or as soon as it runs. */
  #abort(cause: Cause, graceMs: number): void {
    this.#requestedEnd ??= { cause, graceMs };
    if (this.#run !== undefined) this.#run.spawner.abort(this.#run.handle);
  }

  #killFailed(): void {
    const run = this.#run;
    if (run === undefined) return;
    run.output.finish();
    const processes = this.#host.describe(run.spawner.survivors(run.handle));
    this.#host.killFailed(this.log, processes);
    this.#finish(killFailedEnding(processes));
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
    const kept = { stdout: run?.output.kept('stdout') ?? 0, stderr: run?.output.kept('stderr') ?? 0 };
    this.#report('ended', { ...ending, ...countFields(this.#counted, kept), ...usageFields(this.#usage) });
    this.#host.over(this);
  }

  #report(kind: ReportKind, payload: object): void {
    this.#host.report(this.log, kind, Buffer.from(JSON.stringify(payload)));
  }
}
