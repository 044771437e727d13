/**
 * The spawner for platforms without a native one, over Node's child_process. Its limits:
 *  - stdin is a socket, so a command can't open /dev/stdin again by path;
 *  - death by a real-time signal looks like exit 0;
 *  - descriptors that this process inherited without close-on-exec are inherited by the commands;
 *  - an identity gets no supplementary groups, and may get a working directory that only this process may enter;
 *  - a process that leaves session, parent and environment all at once escapes `killTree`;
 *  - if this process is killed, commands keep running, and get SIGPIPE at their next output;
 *  - it has no terminals and no limits, and reports no usage;
 *  - the executable that `resolved` reported runs by its real path, not by a descriptor;
 *  - it looks the program up itself, and waits for the fork: a file system that never answers stops the whole runner;
 *  - each start costs a fork of this whole process.
 */
import { type ChildProcess, spawn as startProcess } from 'node:child_process';
import { closeSync, existsSync, realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { type Fifo, FifoSource } from './fifos.ts';
import { errnoOf, type Lookup, lookUp } from './lookup.ts';
import { NodeOutput } from './node-output.ts';
import { mainHasEnded } from './process-tree.ts';
import type { Spawner, SpawnerEvents, SpawnRequest, SpawnStage } from './spawner.ts';
import { ProcessTree } from './tree.ts';

const COUNT_EVERY_MS = 1000;

/** Resolved, and waiting for approval. */
interface Found {
  request: SpawnRequest;
  file: string;
  cwd: string;
}

interface Entry {
  child: ChildProcess;
  outputs: readonly [NodeOutput, NodeOutput];
  tree: ProcessTree;
  stdinTaken: number;
  countedAt: number;
  end?: { exitCode: number } | { signal: number };
  reported: boolean;
}

/** Starts the spawner and creates its first pipes. Throws if mkfifo(1) does not work. */
export function startNodeSpawner(events: SpawnerEvents, scratchDir: string): Spawner {
  return new NodeSpawner(events, new FifoSource(scratchDir));
}

class NodeSpawner implements Spawner {
  readonly kind = 'node';
  readonly terminals = false;
  readonly limits: Spawner['limits'] = new Set();
  readonly #events: SpawnerEvents;
  readonly #fifos: FifoSource;
  readonly #entries = new Map<number, Entry>();
  readonly #awaitingApproval = new Map<number, Found>();
  /** Streams that may still be open, also of commands that have ended. */
  readonly #outputs = new Set<NodeOutput>();

  constructor(events: SpawnerEvents, fifos: FifoSource) {
    this.#events = events;
    this.#fifos = fifos;
  }

  spawn(request: SpawnRequest): void {
    const { handle } = request;
    const cwd = resolve(existsSync(request.home) ? request.home : '/', request.cwd ?? '.');
    const found = this.#lookUp(request, cwd);
    if (!found.ok) this.#fail(handle, found.stage, found.errno);
    else if (request.ask) this.#ask({ request, file: realpathSync(found.file), cwd: realpathSync(cwd) });
    else this.#start({ request, file: found.file, cwd });
  }

  #lookUp({ terminal, limits, file, argv, env }: SpawnRequest, cwd: string): Lookup {
    if (terminal) return { ok: false, stage: 'terminal', errno: 'ENOTTY' };
    if (limits) return { ok: false, stage: 'limits', errno: 'ENOTSUP' };
    return lookUp(file ?? argv[0] ?? '', env, cwd);
  }

  #ask(found: Found): void {
    const { request, file, cwd } = found;
    this.#awaitingApproval.set(request.handle, found);
    setImmediate(() => this.#events.resolved(request.handle, { file, cwd }));
  }

  approve(handle: number): void {
    const found = this.#awaitingApproval.get(handle);
    this.#awaitingApproval.delete(handle);
    if (found) this.#start(found);
  }

  abort(handle: number): void {
    if (this.#awaitingApproval.delete(handle)) this.#fail(handle, 'aborted', 'EINTR');
  }

  resize(): void {}

  usage(): undefined {}

  outOfMemory(): boolean {
    return false;
  }

  survivors(handle: number): number[] {
    return this.#entries.get(handle)?.tree.members() ?? [];
  }

  #start({ request, file, cwd }: Found): void {
    let pipes: [Fifo, Fifo] | undefined;
    try {
      pipes = [this.#fifos.take(request.identity), this.#fifos.take(request.identity)];
      const child = startProcess(file, request.argv.slice(1), {
        ...(request.argv[0] === undefined ? {} : { argv0: request.argv[0] }),
        ...(request.identity ? { uid: request.identity.uid, gid: request.identity.gid } : {}),
        env: request.env,
        cwd,
        detached: true,
        stdio: [request.stdin === 'pipe' ? 'pipe' : 'ignore', pipes[0].write, pipes[1].write],
      });
      this.#adopt(request, child, pipes);
    } catch (error) {
      this.#fail(request.handle, pipes ? 'exec' : 'fork', errnoOf(error));
    } finally {
      for (const pipe of pipes ?? []) closeSync(pipe.write);
    }
  }

  writeStdin(handle: number, bytes: Buffer, end: boolean): void {
    const entry = this.#entries.get(handle);
    const stdin = entry?.child.stdin;
    if (!entry || !stdin?.writable) return;
    const taken = (): void => {
      entry.stdinTaken += bytes.length;
      if (!entry.reported && !stdin.destroyed) this.#events.stdinTaken(handle, entry.stdinTaken, false);
    };
    if (bytes.length > 0) stdin.write(bytes, (error) => (error ? undefined : taken()));
    if (end) stdin.end();
  }

  signal(handle: number, signal: number): boolean {
    const entry = this.#entries.get(handle);
    const pid = entry?.child.pid;
    if (!entry || pid === undefined || entry.end || mainHasEnded(pid)) return false;
    try {
      return process.kill(-pid, signal);
    } catch {
      return false;
    }
  }

  async killTree(handle: number): Promise<void> {
    await this.#entries.get(handle)?.tree.kill();
  }

  async treeAlive(handle: number): Promise<boolean> {
    const entry = this.#entries.get(handle);
    return entry !== undefined && (!entry.end || entry.tree.alive());
  }

  pause(handle: number): void {
    const entry = this.#entries.get(handle);
    if (entry && !entry.reported) for (const output of entry.outputs) output.pause();
  }

  resume(handle: number): void {
    const entry = this.#entries.get(handle);
    if (!entry) return;
    for (const output of entry.outputs) output.resume();
    setImmediate(() => this.#finish(handle, entry));
  }

  release(handle: number): void {
    const entry = this.#entries.get(handle);
    if (!entry) return;
    this.#entries.delete(handle);
    entry.reported = true;
    for (const output of entry.outputs) output.resume();
    entry.child.stdin?.destroy();
    entry.tree.release();
  }

  tidy(): void {}

  async close(): Promise<void> {
    const running = [...this.#entries.values()].filter((entry) => !entry.end);
    await Promise.all(running.map((entry) => entry.tree.kill()));
    for (const handle of [...this.#entries.keys()]) this.release(handle);
    for (const output of this.#outputs) output.leaveToOthers();
    this.#fifos.close();
  }

  #fail(handle: number, stage: SpawnStage, errno: string): void {
    setImmediate(() => this.#events.failed(handle, stage, errno));
  }

  #adopt(request: SpawnRequest, child: ChildProcess, pipes: readonly [Fifo, Fifo]): void {
    const { handle } = request;
    const output = (index: 0 | 1, stream: 'stdout' | 'stderr'): NodeOutput => {
      const made: NodeOutput = new NodeOutput(pipes[index], request, {
        hand: (bytes) => this.#events.output(handle, stream, bytes),
        dropped: () => this.#count(handle, entry),
        closed: () => this.#outputs.delete(made),
      });
      this.#outputs.add(made);
      return made;
    };
    const outputs = [output(0, 'stdout'), output(1, 'stderr')] as const;
    const tree = new ProcessTree(request.executionId);
    const entry: Entry = { child, outputs, tree, stdinTaken: 0, countedAt: 0, reported: false };
    this.#entries.set(handle, entry);
    this.#listen(handle, entry);
  }

  #listen(handle: number, entry: Entry): void {
    const { child } = entry;
    child.once('spawn', () => {
      entry.tree.started(child.pid ?? 0, false);
      this.#events.started(handle, child.pid ?? 0);
    });
    child.on('error', (error) => {
      if (child.pid !== undefined || !this.#entries.has(handle)) return;
      this.release(handle);
      this.#events.failed(handle, 'exec', errnoOf(error));
    });
    child.once('exit', (code, signal) => {
      entry.end = signal === null ? { exitCode: code ?? 0 } : { signal: constants.signals[signal] };
      this.#finish(handle, entry);
    });
    child.stdin?.on('error', () => {}); // The command does not read any more: `close` follows.
    child.stdin?.once('close', () => {
      if (!entry.reported) this.#events.stdinTaken(handle, entry.stdinTaken, true);
    });
  }

  #count(handle: number, entry: Entry): void {
    const now = performance.now();
    if (entry.reported || now - entry.countedAt < COUNT_EVERY_MS) return;
    entry.countedAt = now;
    this.#events.counted(handle, entry.outputs[0].total, entry.outputs[1].total);
  }

  /** Reports the end, after all output written before it. */
  #finish(handle: number, entry: Entry): void {
    if (!entry.end || entry.reported || entry.outputs.some((output) => output.paused)) return;
    for (const output of entry.outputs) output.finish();
    entry.reported = true;
    const [stdout, stderr] = entry.outputs;
    const tails = { stdout: stdout.tail.take(), stderr: stderr.tail.take() };
    for (const stream of ['stdout', 'stderr'] as const)
      if (tails[stream].length > 0) this.#events.tail(handle, stream, tails[stream]);
    this.#events.exited(handle, { ...entry.end, stdoutBytes: stdout.total, stderrBytes: stderr.total });
  }
}
