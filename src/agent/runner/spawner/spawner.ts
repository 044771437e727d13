/** The interface between the runner and a spawner. Implemented in native.ts and node.ts. */

/** Size of a terminal, in characters. */
export interface TerminalSize {
  width: number;
  height: number;
}

/** Limits of one command, for all its processes together. */
export interface SpawnLimits {
  memoryBytes?: number;
  cpus?: number;
  pids?: number;
}

export interface SpawnRequest {
  /** The caller's handle for this process: unique for the life of the spawner, 1 to 2^32-1. */
  handle: number;
  /** Marks the process tree: it is `EXECUTION_ID` in `env`, and names the cgroup if there is one. */
  executionId: string;
  /** execve(2) semantics. `argv[0]` is looked up in the PATH of `env`. */
  argv: readonly string[];
  /** The file to look up and run, if it is not `argv[0]`. */
  file?: string;
  /** The whole environment. */
  env: Readonly<Record<string, string>>;
  /** Absolute. The command starts there, or in / if it cannot be entered. */
  home: string;
  /** Absolute, or relative to `home`. Absent: `home` itself. */
  cwd?: string | undefined;
  /** Runs the command as another user (root only). */
  identity?: { uid: number; gid: number; groups: readonly number[] };
  /** `none`: end-of-file at once. `pipe`: fed by `writeStdin`. */
  stdin: 'none' | 'pipe';
  /** Runs it on a terminal of this size, which is its stdin, stdout and stderr. Its output comes as stdout. */
  terminal?: TerminalSize;
  /** Before it runs, `resolved` is called; it then waits for `approve` or `abort`. */
  ask?: boolean;
  /** Has only limits that the `limits` of the spawner contain. */
  limits?: SpawnLimits;
  /** Bytes of each stream to emit. Later bytes are read, counted and discarded. Up to 3 bytes more may be emitted. */
  keepBytes: number;
  /** Number of last bytes of each stream, of those not emitted, that are kept for `tail`: at most 65 536. */
  tailBytes: number;
}

/** The stage at which a start failed. `interpreter`: the file exists, its interpreter does not. `aborted`: the caller aborted it. */
export type SpawnStage = 'fork' | 'identity' | 'cwd' | 'exec' | 'interpreter' | 'aborted' | 'terminal' | 'limits';

/** The file and directory that are about to be used: absolute, without symbolic links, as the kernel resolved them. */
export interface Resolved {
  cwd: string;
  file: string;
}

/** The usage of a command's processes together. */
export interface Usage {
  cpuUserMs: number;
  cpuSystemMs: number;
  maxMemoryBytes: number;
  ioReadBytes?: number;
  ioWriteBytes?: number;
}

/** The end of the main process: exactly one of `exitCode` and `signal` (its number) is set. */
export interface SpawnEnd {
  exitCode?: number;
  signal?: number;
  stdoutBytes: number;
  stderrBytes: number;
  /** Of the main process and of those it had waited for. Absent if that cannot be known. */
  usage?: Usage;
  /** Whether no process of the command is left. Absent or false if that is not known. */
  leftNothing?: boolean;
}

/**
 * The callbacks of a spawner. Each call concerns one handle; `exited` or `failed` is the last one for it. No call is made within a method of
 * the spawner. `started` precedes all output and the end; `stdinTaken` may precede it.
 */
export interface SpawnerEvents {
  /** Requested by `ask`: the descriptors of both are held, and are the ones that will be used. */
  resolved(handle: number, resolved: Resolved): void;
  /** The command runs: the new program was executed. */
  started(handle: number, pid: number): void;
  /** The command never ran. `errno` is the name (`ENOENT`). */
  failed(handle: number, stage: SpawnStage, errno: string): void;
  /** Bytes that it wrote. The buffer belongs to the callee. */
  output(handle: number, stream: 'stdout' | 'stderr', bytes: Buffer): void;
  /** Bytes produced so far on each stream, kept or not. Called at most once a second while bytes are discarded. */
  counted(handle: number, stdoutBytes: number, stderrBytes: number): void;
  /** Bytes of stdin written to the process's pipe so far. `closed`: it is closed, or the process does not read any more. */
  stdinTaken(handle: number, bytes: number, closed: boolean): void;
  /** The last of the bytes of a stream that were not emitted, if there are any. Called right before `exited`. */
  tail(handle: number, stream: 'stdout' | 'stderr', bytes: Buffer): void;
  /**
   * The main process has exited, and all bytes written before were emitted. Later bytes in its pipes are discarded until every writer has
   * closed them.
   */
  exited(handle: number, end: SpawnEnd): void;
  /** The spawner itself has ended, and its processes cannot be followed any more. It is the last call. */
  lost(reason: string): void;
}

export interface Spawner {
  readonly kind: 'native' | 'node';
  /** Whether commands can be given a terminal. */
  readonly terminals: boolean;
  /** The limits that can be put on a command. */
  readonly limits: ReadonlySet<keyof SpawnLimits>;
  spawn(request: SpawnRequest): void;
  /** Lets the command run that `resolved` described. */
  approve(handle: number): void;
  /** Ends the start of a command that does not run yet (`failed`, `aborted`). One that runs, or has ended, is not touched. */
  abort(handle: number): void;
  /** Sets the size of its terminal. */
  resize(handle: number, size: TerminalSize): void;
  /** The usage of its tree so far, up to `release`. Undefined if only the end tells, or nothing does. */
  usage(handle: number): Usage | undefined;
  /** Whether a process of it was killed because its memory limit was reached. Valid up to `release`. */
  outOfMemory(handle: number): boolean;
  /** The numbers of the processes of its tree that are alive. */
  survivors(handle: number): number[];
  /** Takes over `bytes`. The caller keeps bytes that are not yet taken (see `stdinTaken`) to 1 MiB a handle. `end` closes stdin. */
  writeStdin(handle: number, bytes: Buffer, end: boolean): void;
  /** Sends a signal (its number) to the process group. False if the main process has already ended. */
  signal(handle: number, signal: number): boolean;
  /**
   * Sends SIGKILL to the whole tree, until no process of it is left. Settles when it is gone, or after half a minute in which it did not
   * go. Like `treeAlive` it works up to `release`, so also after `exited`.
   */
  killTree(handle: number): Promise<void>;
  /** Whether any process of the tree is alive, the main process or a descendant. */
  treeAlive(handle: number): Promise<boolean>;
  /** Stops and continues reading the process's output. Without reading, the process waits in its write(2). */
  pause(handle: number): void;
  resume(handle: number): void;
  /** The caller is done with the handle (required after each `exited`): only its leftover pipes are drained from now on. */
  release(handle: number): void;
  /** Removes what released commands have left, and prepares the next start: work that may wait until the ends are reported. */
  tidy(): void;
  /**
   * Spawns nothing any more and kills what still runs. Leftover pipes of background processes are still drained, by a process of the
   * spawner's that stays for that alone, so that no process gets SIGPIPE.
   */
  close(): Promise<void>;
}
