/** A spawner on a stage: every event is kept by handle, and tests wait for them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSpawner } from '../../../../src/agent/runner/spawner/index.ts';
import type { Spawner, SpawnerEvents, SpawnRequest } from '../../../../src/agent/runner/spawner/spawner.ts';

/** The spawners that every test is run against; `bare` is the native one without cgroups. */
export const KINDS = process.platform === 'linux' ? (['native', 'bare', 'node'] as const) : (['node'] as const);
export type Kind = (typeof KINDS)[number];
export const FIXTURES = join(import.meta.dirname, '../../../fixtures/spawner');
const PATH = '/usr/local/bin:/usr/bin:/bin';

type End = Parameters<SpawnerEvents['exited']>[1];

/** All that is known of one command. */
export class Act {
  pid = 0;
  stdout: Buffer[] = [];
  stderr: Buffer[] = [];
  counts: [number, number][] = [];
  taken = 0;
  stdinClosed = false;
  failure: { stage: string; errno: string } | undefined;
  end: End | undefined;
  readonly handle: number;
  readonly executionId: string;
  readonly over = Promise.withResolvers<void>();
  readonly started = Promise.withResolvers<void>();
  #waits: { condition: () => boolean; resolve: () => void }[] = [];

  constructor(handle: number, executionId: string) {
    this.handle = handle;
    this.executionId = executionId;
  }

  get out(): string {
    return Buffer.concat(this.stdout).toString();
  }

  get err(): string {
    return Buffer.concat(this.stderr).toString();
  }

  /** Settles when an event has made `condition` true. */
  when(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waits.push({ condition, resolve });
    return promise;
  }

  changed(): void {
    this.#waits = this.#waits.filter(({ condition, resolve }) => !condition() || resolve());
  }
}

export class Stage {
  readonly scratchDir = mkdtempSync(join(tmpdir(), 'execplane-spawner-'));
  readonly acts = new Map<number, Act>();
  readonly lost = Promise.withResolvers<string>();
  spawner!: Spawner;
  #handles = 0;

  static async open(kind: Kind): Promise<Stage> {
    const stage = new Stage();
    stage.spawner = await startSpawner({
      kind: kind === 'node' ? 'node' : 'native',
      cgroups: kind !== 'bare',
      scratchDir: stage.scratchDir,
      events: stage.#events(),
    });
    return stage;
  }

  /** Starts a command; what is not said is plain: no stdin, a clean environment, the scratch directory, 1 MB kept. */
  start(argv: readonly string[], options: Partial<SpawnRequest> = {}): Act {
    const handle = ++this.#handles;
    const executionId = options.executionId ?? `stage-${process.pid}-${handle}`;
    const act = new Act(handle, executionId);
    this.acts.set(handle, act);
    const env = { PATH, EXECUTION_ID: executionId, ...options.env };
    const plain = { handle, executionId, argv, cwd: this.scratchDir, stdin: 'none', keepBytes: 1_000_000 } as const;
    this.spawner.spawn({ ...plain, ...options, env });
    return act;
  }

  /** Runs a command to its end, or its failure to start. */
  async run(argv: readonly string[], options: Partial<SpawnRequest> = {}): Promise<Act> {
    const act = this.start(argv, options);
    await act.over.promise;
    return act;
  }

  /** Ends what still runs, and the spawner. */
  async close(): Promise<void> {
    for (const act of this.acts.values()) if (!act.end && !act.failure) await this.spawner.killTree(act.handle);
    await this.spawner.close();
    rmSync(this.scratchDir, { recursive: true });
  }

  #act(handle: number): Act {
    const act = this.acts.get(handle);
    if (!act) throw new Error(`an event for handle ${handle}, which nobody started`);
    if (act.end ?? act.failure) throw new Error(`an event for handle ${handle} after its end`);
    queueMicrotask(() => act.changed());
    return act;
  }

  #events(): SpawnerEvents {
    return {
      started: (handle, pid) => {
        const act = this.#act(handle);
        act.pid = pid;
        act.started.resolve();
      },
      failed: (handle, stage, errno) => {
        const act = this.#act(handle);
        act.failure = { stage, errno };
        act.over.resolve();
      },
      output: (handle, stream, bytes) => void this.#act(handle)[stream].push(bytes),
      counted: (handle, stdout, stderr) => void this.#act(handle).counts.push([stdout, stderr]),
      stdinTaken: (handle, bytes, closed) => {
        Object.assign(this.#act(handle), { taken: bytes, stdinClosed: closed });
      },
      exited: (handle, end) => {
        const act = this.#act(handle);
        act.end = end;
        act.over.resolve();
      },
      lost: (reason) => this.lost.resolve(reason),
    };
  }
}
