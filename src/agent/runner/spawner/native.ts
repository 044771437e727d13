/** The spawner on Linux. It uses the C program in native/, which starts and reaps commands and transfers their bytes (docs/spawner-protocol.md). */
import { type ChildProcessByStdio, spawn as startProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { getSystemErrorName } from 'node:util';
import type { CgroupPool } from './cgroups.ts';
import {
  EVENT,
  type EventFrame,
  encodePlain,
  encodeResize,
  encodeSignal,
  encodeSpawn,
  encodeStdin,
  FrameReader,
  MAX_SPAWN_BYTES,
  PROTOCOL_VERSION,
  readCount,
  readEnd,
} from './frames.ts';
import { mainHasEnded } from './process-tree.ts';
import type { SpawnEnd, Spawner, SpawnerEvents, SpawnRequest, SpawnStage, TerminalSize, Usage } from './spawner.ts';
import { ProcessTree } from './tree.ts';

const HELLO_TIMEOUT_MS = 5000;
/** Time limit for the answer to SHUTDOWN, ms. Afterwards the program ends when its input is closed. */
const SHUTDOWN_TIMEOUT_MS = 500;
const STAGES: readonly (SpawnStage | undefined)[] = [
  undefined,
  'fork',
  'identity',
  'cwd',
  'exec',
  'interpreter',
  'aborted',
];

type Program = ChildProcessByStdio<Writable, Readable, Readable>;

/** One command, from `spawn` to `release`. */
interface Entry {
  tree: ProcessTree;
  pid: number;
  ended: boolean;
  /** Whether it has limits: then it must run in its cgroup, or not at all. */
  limited: boolean;
}

export interface NativeSpawnerOptions {
  binary: string;
  events: SpawnerEvents;
  cgroups: CgroupPool | undefined;
  /** The soft limit of open files that commands get. Absent: that of this process. */
  softFileLimit?: number | undefined;
}

/** Starts the program and waits until it answers. Rejects if it cannot be run or does not answer. */
export async function startNativeSpawner(options: NativeSpawnerOptions): Promise<Spawner> {
  const { binary, events, cgroups, softFileLimit } = options;
  const program = startProcess(binary, softFileLimit === undefined ? [] : [String(softFileLimit)], {
    stdio: ['pipe', 'pipe', 'pipe'],
    cwd: '/',
    env: {},
    detached: true,
  });
  const failed = once(program, 'exit').then(([code, signal]) => {
    throw new Error(`the spawner ended at once (${code ?? signal})`);
  });
  failed.catch(() => {});
  const hello = once(program.stdout, 'data', { signal: AbortSignal.timeout(HELLO_TIMEOUT_MS) });
  try {
    const [bytes] = (await Promise.race([hello, failed])) as [Buffer];
    if (bytes.length !== 13 || bytes[4] !== EVENT.hello || bytes.readUInt32LE(9) !== PROTOCOL_VERSION) {
      throw new Error('the spawner speaks another protocol');
    }
  } catch (cause) {
    program.kill('SIGKILL');
    throw new Error(`the native spawner does not work here: ${binary}`, { cause });
  }
  return new NativeSpawner(program, events, cgroups);
}

class NativeSpawner implements Spawner {
  readonly kind = 'native';
  readonly terminals = true;
  readonly limits: Spawner['limits'];
  readonly #program: Program;
  readonly #events: SpawnerEvents;
  readonly #entries = new Map<number, Entry>();
  readonly #cgroups: CgroupPool | undefined;
  readonly #reader = new FrameReader();
  /** Commands of this turn, written together. */
  #pending: Buffer[] = [];
  #scheduled = false;
  #closing = false;
  #lastMessage = '';

  constructor(program: Program, events: SpawnerEvents, cgroups: CgroupPool | undefined) {
    this.#cgroups = cgroups;
    this.limits = cgroups?.limits ?? new Set();
    this.#program = program;
    this.#events = events;
    program.stdout.on('data', (chunk: Buffer) => this.#reader.push(chunk, this.#receive));
    program.stderr.on('data', (chunk: Buffer) => {
      this.#lastMessage = chunk.toString('utf8').slice(0, 200).trim();
    });
    program.stdin.on('error', () => {}); // The exit of the program is handled below.
    program.stdin.on('drain', this.#flush);
    program.once('close', (code, signal) =>
      this.#programEnded(`${this.#lastMessage || 'the spawner ended'} (${code ?? signal})`),
    );
  }

  spawn(request: SpawnRequest): void {
    const cgroup = this.#cgroups?.acquire(request.limits);
    const bytes = encodeSpawn(request, cgroup?.path ?? '');
    const refusal = refusalOf({ limited: request.limits !== undefined && !cgroup, bytes: bytes?.length });
    if (!bytes || refusal) {
      if (cgroup) this.#cgroups?.giveBack(cgroup);
      const [stage, errno] = refusal ?? ['exec', 'EINVAL'];
      setImmediate(() => this.#events.failed(request.handle, stage, errno));
      return;
    }
    const tree = new ProcessTree(request.executionId, this.#cgroups, cgroup);
    this.#entries.set(request.handle, { tree, pid: 0, ended: false, limited: request.limits !== undefined });
    this.#send(bytes);
  }

  approve(handle: number): void {
    this.#send(encodePlain('approve', handle));
  }

  abort(handle: number): void {
    this.#send(encodePlain('abort', handle));
  }

  resize(handle: number, size: TerminalSize): void {
    this.#send(encodeResize(handle, size));
  }

  usage(handle: number): Usage | undefined {
    return this.#entries.get(handle)?.tree.usageSoFar();
  }

  outOfMemory(handle: number): boolean {
    return this.#entries.get(handle)?.tree.outOfMemory() ?? false;
  }

  survivors(handle: number): number[] {
    return this.#entries.get(handle)?.tree.members() ?? [];
  }

  writeStdin(handle: number, bytes: Buffer, end: boolean): void {
    for (const part of encodeStdin(handle, bytes, end)) this.#send(part);
  }

  signal(handle: number, signal: number): boolean {
    const entry = this.#entries.get(handle);
    if (!entry || entry.ended || (entry.pid > 0 && mainHasEnded(entry.pid))) return false;
    this.#send(encodeSignal(handle, signal));
    return true;
  }

  async killTree(handle: number): Promise<void> {
    await this.#entries.get(handle)?.tree.kill();
  }

  async treeAlive(handle: number): Promise<boolean> {
    const entry = this.#entries.get(handle);
    return entry !== undefined && (!entry.ended || entry.tree.alive());
  }

  pause(handle: number): void {
    this.#send(encodePlain('pause', handle));
  }

  resume(handle: number): void {
    this.#send(encodePlain('resume', handle));
  }

  release(handle: number): void {
    const entry = this.#entries.get(handle);
    if (!entry) return;
    this.#entries.delete(handle);
    if (!entry.ended) this.#send(encodePlain('release', handle));
    entry.tree.release();
  }

  tidy(): void {
    this.#flush(); // The program starts commands while the next cgroup is made.
    this.#cgroups?.tidy();
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    const { stdout } = this.#program;
    const left = once(stdout, 'close');
    const timer = setTimeout(() => stdout.destroy(), SHUTDOWN_TIMEOUT_MS);
    this.#send(encodePlain('shutdown', 0));
    this.#flush();
    if (!stdout.closed) await left;
    clearTimeout(timer);
    this.#dispose();
  }

  #send(bytes: Buffer): void {
    this.#pending.push(bytes);
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(this.#flush);
  }

  /** Writes all pending commands in one write. While the pipe is full, commands wait for `drain`. */
  readonly #flush = (): void => {
    this.#scheduled = false;
    const { stdin } = this.#program;
    if (this.#pending.length === 0 || stdin.writableNeedDrain || !stdin.writable) return;
    const batch = this.#pending;
    this.#pending = [];
    stdin.write(batch.length === 1 ? batch[0] : Buffer.concat(batch));
  };

  readonly #receive = (frame: EventFrame): void => {
    const { handle, payload } = frame;
    const entry = this.#entries.get(handle);
    if (!entry || entry.ended) return; // Released: its last events were already on their way.
    switch (frame.op) {
      case EVENT.started:
        entry.pid = payload.readUInt32LE(0);
        entry.tree.started(entry.pid, payload[4] === 1);
        this.#events.started(handle, entry.pid);
        return;
      case EVENT.resolved: {
        const [cwd = '', file = ''] = payload.toString('utf8').split('\0');
        this.#events.resolved(handle, { cwd, file });
        return;
      }
      case EVENT.failed:
        this.#entries.delete(handle);
        entry.tree.release();
        this.#events.failed(
          handle,
          STAGES[payload.readUInt8(0)] ?? 'exec',
          getSystemErrorName(-payload.readUInt32LE(1)),
        );
        return;
      case EVENT.stdout:
        this.#events.output(handle, 'stdout', payload);
        return;
      case EVENT.stderr:
        this.#events.output(handle, 'stderr', payload);
        return;
      case EVENT.stdoutTail:
      case EVENT.stderrTail:
        this.#events.tail(handle, frame.op === EVENT.stdoutTail ? 'stdout' : 'stderr', payload);
        return;
      case EVENT.count:
        this.#events.counted(handle, readCount(payload, 0), readCount(payload, 8));
        return;
      case EVENT.stdinTaken:
        this.#events.stdinTaken(handle, readCount(payload, 0), payload[8] === 1);
        return;
      case EVENT.exited:
        this.#exited(entry, handle, readEnd(payload, entry.tree.usage()));
    }
  };

  #exited(entry: Entry, handle: number, end: SpawnEnd): void {
    entry.ended = true;
    entry.tree.ended(end.leftNothing === true);
    this.#events.exited(handle, end);
  }

  /** Handles the end of the program. Its commands are killed, because their output and ends cannot be reported any more. */
  #programEnded(reason: string): void {
    if (this.#closing) return;
    this.#closing = true;
    for (const entry of this.#entries.values()) if (!entry.ended) void entry.tree.kill();
    this.#dispose();
    this.#events.lost(reason);
  }

  #dispose(): void {
    for (const entry of this.#entries.values()) entry.tree.release();
    this.#entries.clear();
    this.#cgroups?.close();
    this.#program.stdin.destroy();
    this.#program.stderr.destroy();
    this.#program.unref();
  }
}

/** Returns the refusal of a start that cannot succeed. Undefined: it is tried. */
function refusalOf(p: { limited: boolean; bytes: number | undefined }): [SpawnStage, string] | undefined {
  if (p.limited) return ['limits', 'ENOTSUP'];
  if (p.bytes === undefined) return ['exec', 'EINVAL'];
  return p.bytes > MAX_SPAWN_BYTES ? ['exec', 'E2BIG'] : undefined;
}
