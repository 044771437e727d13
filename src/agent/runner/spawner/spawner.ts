/** What the runner needs of whatever starts processes; native.ts and node.ts stand behind it. */

export interface SpawnRequest {
  /** The caller's handle for this process: unique for the life of the spawner, 1 to 2^32-1. */
  handle: number;
  /** Marks the process tree: it is `EXECUTION_ID` in `env`, and names the cgroup where there is one. */
  executionId: string;
  /** execve(2) semantics; `argv[0]` is looked up in the PATH of `env`. */
  argv: readonly string[];
  /** The whole environment. */
  env: Readonly<Record<string, string>>;
  /** Absolute. */
  cwd: string;
  /** Run as somebody else (root only). */
  identity?: { uid: number; gid: number; groups: readonly number[] };
  /** `none`: end-of-file at once; `pipe`: fed by `writeStdin`. */
  stdin: 'none' | 'pipe';
  /**
   * Bytes of each stream to hand over; what comes after them is read, counted and thrown away. Up to 3 bytes more may be
   * handed over, no more.
   */
  keepBytes: number;
}

export type SpawnStage = 'fork' | 'identity' | 'cwd' | 'exec';

/**
 * Each call is about one handle; `exited` or `failed` is the last of it. None is made from within a method of the spawner.
 * `started` comes before any output and the end; `stdinTaken` may come before it.
 */
export interface SpawnerEvents {
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
  /**
   * The main process is gone. All it wrote before its exit has been handed over. Exactly one of the two is set; `signal`
   * is the number. Its pipes are read on and thrown away until everybody has closed them.
   */
  exited(handle: number, end: { exitCode?: number; signal?: number; stdoutBytes: number; stderrBytes: number }): void;
  /** The spawner itself is gone, and with it the knowledge of every process: no further calls come. */
  lost(reason: string): void;
}

export interface Spawner {
  readonly kind: 'native' | 'node';
  spawn(request: SpawnRequest): void;
  /** Takes over `bytes`; the caller keeps what is not yet taken (see `stdinTaken`) to 256 KiB a handle. `end` closes. */
  writeStdin(handle: number, bytes: Buffer, end: boolean): void;
  /** Sends a signal (its number) to the process group; false where the main process has already ended. */
  signal(handle: number, signal: number): boolean;
  /**
   * SIGKILL to the whole tree, again until nothing is left of it; settles when it is gone. Like `treeAlive` it works up to
   * `release`, so also after `exited`.
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
