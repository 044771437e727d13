/** What the runner needs of whatever starts processes; native.ts and node.ts stand behind it. */

/** In characters. */
export interface TerminalSize {
  width: number;
  height: number;
}

/** What one command may use at most, all of its processes together. */
export interface SpawnLimits {
  memoryBytes?: number;
  cpus?: number;
  pids?: number;
}

export interface SpawnRequest {
  /** The caller's handle for this process: unique for the life of the spawner, 1 to 2^32-1. */
  handle: number;
  /** Marks the process tree: it is `EXECUTION_ID` in `env`, and names the cgroup where there is one. */
  executionId: string;
  /** execve(2) semantics; `argv[0]` is looked up in the PATH of `env`. */
  argv: readonly string[];
  /** What is looked up and run, if it is not `argv[0]`. */
  file?: string;
  /** The whole environment. */
  env: Readonly<Record<string, string>>;
  /** Absolute. The command starts there, or in / where it can't be entered. */
  home: string;
  /** Absolute, or to be taken from `home`; absent: `home` itself. */
  cwd?: string | undefined;
  /** Run as somebody else (root only). */
  identity?: { uid: number; gid: number; groups: readonly number[] };
  /** `none`: end-of-file at once; `pipe`: fed by `writeStdin`. */
  stdin: 'none' | 'pipe';
  /** Runs it on a terminal of this size, which is its stdin, stdout and stderr; its output comes as stdout. */
  terminal?: TerminalSize;
  /** Before it runs, `resolved` says what was found; then it waits for `approve` or `abort`. */
  ask?: boolean;
  /** Only a spawner whose `limits` is true takes these. */
  limits?: SpawnLimits;
  /**
   * Bytes of each stream to hand over; what comes after them is read, counted and thrown away. Up to 3 bytes more may be
   * handed over, no more.
   */
  keepBytes: number;
  /** The last bytes of each stream, of those that were not handed over, that are kept for `tail`: at most 65 536. */
  tailBytes: number;
}

/** Where a start failed; `interpreter`: the file is there, what runs it is not; `aborted`: because the caller wanted it. */
export type SpawnStage = 'fork' | 'identity' | 'cwd' | 'exec' | 'interpreter' | 'aborted' | 'terminal' | 'limits';

/** What is about to run: the file and the directory, absolute and without symbolic links, as the kernel found them. */
export interface Resolved {
  cwd: string;
  file: string;
}

/** What the processes of a command used, all of them together. */
export interface Usage {
  cpuUserMs: number;
  cpuSystemMs: number;
  maxMemoryBytes: number;
  ioReadBytes?: number;
  ioWriteBytes?: number;
}

/** How the main process ended: exactly one of `exitCode` and `signal` (its number) is set. */
export interface SpawnEnd {
  exitCode?: number;
  signal?: number;
  stdoutBytes: number;
  stderrBytes: number;
  /** Of the main process and of those it had waited for; absent where that can't be known. */
  usage?: Usage;
}

/**
 * Each call is about one handle; `exited` or `failed` is the last of it. None is made from within a method of the spawner.
 * `started` comes before any output and the end; `stdinTaken` may come before it.
 */
export interface SpawnerEvents {
  /** Asked for by `ask`: the descriptors of both are held, and are what will be used. */
  resolved(handle: number, resolved: Resolved): void;
  /** It runs: the new program is executing. */
  started(handle: number, pid: number): void;
  /** It never ran; `errno` is the name (`ENOENT`). */
  failed(handle: number, stage: SpawnStage, errno: string): void;
  /** Bytes it wrote; the buffer is the callee's to keep. */
  output(handle: number, stream: 'stdout' | 'stderr', bytes: Buffer): void;
  /** Produced so far on each stream, kept or not; comes at most once a second while bytes are thrown away. */
  counted(handle: number, stdoutBytes: number, stderrBytes: number): void;
  /** Bytes of stdin the process's pipe has taken so far; `closed`: it is closed, or nobody reads it any more. */
  stdinTaken(handle: number, bytes: number, closed: boolean): void;
  /** The last of what was not handed over of a stream, if anything was not: right before `exited`. */
  tail(handle: number, stream: 'stdout' | 'stderr', bytes: Buffer): void;
  /**
   * The main process is gone. All it wrote before its exit has been handed over. Its pipes are read on and thrown away
   * until everybody has closed them.
   */
  exited(handle: number, end: SpawnEnd): void;
  /** The spawner itself is gone, and with it the knowledge of every process: no further calls come. */
  lost(reason: string): void;
}

export interface Spawner {
  readonly kind: 'native' | 'node';
  /** Whether commands can be given a terminal. */
  readonly terminals: boolean;
  /** Which limits can be put on a command. */
  readonly limits: ReadonlySet<keyof SpawnLimits>;
  spawn(request: SpawnRequest): void;
  /** What `resolved` said may run. */
  approve(handle: number): void;
  /** Ends the start of what does not run yet (`failed`, `aborted`); one that runs already, or has ended, is not touched. */
  abort(handle: number): void;
  /** Sets the size of its terminal. */
  resize(handle: number, size: TerminalSize): void;
  /** What its tree has used so far, up to `release`; undefined where only its end tells, or nothing. */
  usage(handle: number): Usage | undefined;
  /** Whether a process of it was killed because its memory limit was reached; up to `release`. */
  outOfMemory(handle: number): boolean;
  /** The numbers of the processes of its tree that are alive. */
  survivors(handle: number): number[];
  /** Takes over `bytes`; the caller keeps what is not yet taken (see `stdinTaken`) to 256 KiB a handle. `end` closes. */
  writeStdin(handle: number, bytes: Buffer, end: boolean): void;
  /** Sends a signal (its number) to the process group; false where the main process has already ended. */
  signal(handle: number, signal: number): boolean;
  /**
   * SIGKILL to the whole tree, again until nothing is left of it; settles when it is gone, or after half a minute in which
   * it did not go. Like `treeAlive` it works up to `release`, so also after `exited`.
   */
  killTree(handle: number): Promise<void>;
  /** Whether anything of the tree is alive, the main process or a descendant of it. */
  treeAlive(handle: number): Promise<boolean>;
  /** Stop, and go on, reading the process's output; without reading it waits in its write(2). */
  pause(handle: number): void;
  resume(handle: number): void;
  /** The caller is done with the handle (each that has `exited` needs this): only its leftover pipes are drained from now on. */
  release(handle: number): void;
  /**
   * Nothing is to be spawned any more; what still runs is killed. Leftover pipes of background processes are still drained (by a process of the
   * spawner's that stays behind for just that), so that nobody gets SIGPIPE.
   */
  close(): Promise<void>;
}
