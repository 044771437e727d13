import type { Start } from '../../../core/protocol.ts';
import type { ExecutionLog } from '../journal/execution-log.ts';
import type { Spawner, SpawnerEvents } from '../spawner/spawner.ts';
import { Execution } from './execution.ts';
import type { ExecutionHost } from './execution-host.ts';
import type { StdinSource } from './stdin.ts';

/** The unfinished executions: waiting ones and those that have a slot, with their spawner handles. */
export class Executions {
  readonly #host: ExecutionHost;
  readonly #byId = new Map<string, Execution>();
  readonly #byHandle = new Map<number, Execution>();
  /** In the order of their starts. */
  readonly #waiting = new Set<Execution>();
  #spawner: Spawner | undefined;
  #lastHandle = 0;
  #paused = false;
  /** Number of commands that may run at a time. */
  maxConcurrency = 64;

  constructor(host: Omit<ExecutionHost, 'over'>, over: () => void) {
    this.#host = {
      ...host,
      over: (execution) => {
        this.#remove(execution);
        over();
      },
    };
  }

  get size(): number {
    return this.#byId.size;
  }

  get(executionId: string): Execution | undefined {
    return this.#byId.get(executionId);
  }

  all(): Execution[] {
    return [...this.#byId.values()];
  }

  /** Adds an execution. It waits until `admit` finds its intent on disk and a free slot. */
  add(start: Start, stdin: StdinSource | undefined, log: ExecutionLog): void {
    const execution = new Execution(start, stdin, log, this.#host);
    this.#byId.set(log.executionId, execution);
    this.#waiting.add(execution);
  }

  /** Gives free slots to waiting executions, oldest first. */
  admit(): void {
    for (const execution of this.#waiting) {
      const running = this.#byId.size - this.#waiting.size;
      if (this.#spawner === undefined || running >= this.maxConcurrency || !execution.log.accepted) return;
      this.#waiting.delete(execution);
      const handle = ++this.#lastHandle;
      this.#byHandle.set(handle, execution);
      execution.spawn(this.#spawner, handle);
      if (execution.state === 'ended') this.#byHandle.delete(handle); // Refused before the spawner was called.
    }
  }

  /** Sets the spawner to use from now on. */
  use(spawner: Spawner): void {
    this.#spawner = spawner;
    this.admit();
  }

  /** Does the work that no report waits for: removes what ended commands have left, and prepares the next start. */
  tidy(): void {
    this.#spawner?.tidy();
    this.#host.dropFolders.tidy();
  }

  /** The callbacks of the spawner. The runner handles `lost`. */
  events(lost: SpawnerEvents['lost']): SpawnerEvents {
    const of = (handle: number): Execution | undefined => this.#byHandle.get(handle);
    return {
      started: (handle, pid) => {
        const execution = of(handle);
        execution?.started(pid);
        if (this.#paused) execution?.pause(true);
      },
      resolved: (handle, resolved) => of(handle)?.resolved(resolved),
      failed: (handle, stage, errno) => of(handle)?.failed(stage, errno),
      output: (handle, stream, bytes) => of(handle)?.output(stream, bytes),
      tail: (handle, stream, bytes) => of(handle)?.tail(stream, bytes),
      counted: (handle, stdout, stderr) => of(handle)?.counted(stdout, stderr),
      stdinTaken: (handle, bytes, closed) => of(handle)?.stdinTaken(bytes, closed),
      exited: (handle, end) => {
        const execution = of(handle);
        execution
          ?.exited(end)
          .catch((error: Error) => execution.lost(`The processes of the command cannot be listed: ${error.message}.`));
      },
      lost,
    };
  }

  /** Returns the executions of a lost spawner: started ones, and ones about to start. Nothing starts until `use`. */
  loseSpawner(): Execution[] {
    const lost = [...this.#byHandle.values()];
    this.#byHandle.clear();
    this.#spawner = undefined;
    return lost;
  }

  /** Makes all output wait, or continue. */
  pause(paused: boolean): void {
    if (this.#paused === paused) return;
    this.#paused = paused;
    for (const execution of this.#byHandle.values()) execution.pause(paused);
  }

  #remove(execution: Execution): void {
    this.#byId.delete(execution.log.executionId);
    this.#waiting.delete(execution);
    if (execution.handle !== undefined) this.#byHandle.delete(execution.handle);
  }
}
