/** SpawnerHarness runs a spawner and records its events by handle. Tests can wait for events. */
import { join } from 'node:path';
import { startSpawner } from '../../../../src/agent/runner/spawner/index.ts';
import type {
  Resolved,
  SpawnEnd,
  Spawner,
  SpawnerEvents,
  SpawnRequest,
  Usage,
} from '../../../../src/agent/runner/spawner/spawner.ts';
import { makeDirectory, removeDirectory } from '../../../helpers/directories.ts';

/** The spawners that each test uses; `bare` is the native spawner without cgroups. */
export const KINDS = process.platform === 'linux' ? (['native', 'bare', 'node'] as const) : (['node'] as const);
export type Kind = (typeof KINDS)[number];
export const FIXTURES = join(import.meta.dirname, '../../../fixtures/spawner');
const PATH = '/usr/local/bin:/usr/bin:/bin';

/** The recorded events of one command. */
export class RunningCommand {
  pid = 0;
  stdout: Buffer[] = [];
  stderr: Buffer[] = [];
  readonly tails: Partial<Record<'stdout' | 'stderr', Buffer>> = {};
  counts: [number, number][] = [];
  taken = 0;
  stdinClosed = false;
  resolved: Resolved | undefined;
  failure: { stage: string; errno: string } | undefined;
  end: Omit<SpawnEnd, 'usage'> | undefined;
  usage: Usage | undefined;
  /** Whether the spawner knew at its end that no process of it was left. */
  leftNothing = false;
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

  /** Waits until `condition` is true. It is checked after each event. */
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

export class SpawnerHarness {
  readonly scratchDir = makeDirectory('spawner');
  readonly commands = new Map<number, RunningCommand>();
  readonly lost = Promise.withResolvers<string>();
  spawner!: Spawner;
  #handles = 0;

  static async open(kind: Kind, more: { softFileLimit?: number } = {}): Promise<SpawnerHarness> {
    const harness = new SpawnerHarness();
    harness.spawner = await startSpawner({
      kind: kind === 'node' ? 'node' : 'native',
      cgroups: kind !== 'bare',
      scratchDir: harness.scratchDir,
      events: harness.#events(),
      ...more,
    });
    return harness;
  }

  /** Starts a command. Defaults: no stdin, an empty environment, the scratch directory, an output limit of 1 MB. */
  start(argv: readonly string[], options: Partial<SpawnRequest> = {}): RunningCommand {
    const handle = ++this.#handles;
    const executionId = options.executionId ?? `command-${process.pid}-${handle}`;
    const command = new RunningCommand(handle, executionId);
    this.commands.set(handle, command);
    const env = { PATH, EXECUTION_ID: executionId, ...options.env };
    const bytes = { keepBytes: 1_000_000, tailBytes: 0 };
    const plain = { handle, executionId, argv, home: this.scratchDir, stdin: 'none', ...bytes } as const;
    this.spawner.spawn({ ...plain, ...options, env });
    return command;
  }

  /** Runs a command to its end, or to its failure to start. */
  async run(argv: readonly string[], options: Partial<SpawnRequest> = {}): Promise<RunningCommand> {
    const command = this.start(argv, options);
    await command.over.promise;
    return command;
  }

  /** Ends running commands, and the spawner. */
  async close(): Promise<void> {
    for (const command of this.commands.values())
      if (!command.end && !command.failure) await this.spawner.killTree(command.handle);
    await this.spawner.close();
    await removeDirectory(this.scratchDir);
  }

  #command(handle: number): RunningCommand {
    const command = this.commands.get(handle);
    if (!command) throw new Error(`an event for handle ${handle}, which nobody started`);
    if (command.end ?? command.failure) throw new Error(`an event for handle ${handle} after its end`);
    queueMicrotask(() => command.changed());
    return command;
  }

  #events(): SpawnerEvents {
    return {
      resolved: (handle, resolved) => {
        this.#command(handle).resolved = resolved;
      },
      started: (handle, pid) => {
        const command = this.#command(handle);
        command.pid = pid;
        command.started.resolve();
      },
      failed: (handle, stage, errno) => {
        const command = this.#command(handle);
        command.failure = { stage, errno };
        command.over.resolve();
      },
      output: (handle, stream, bytes) => void this.#command(handle)[stream].push(bytes),
      tail: (handle, stream, bytes) => {
        this.#command(handle).tails[stream] = bytes;
      },
      counted: (handle, stdout, stderr) => void this.#command(handle).counts.push([stdout, stderr]),
      stdinTaken: (handle, bytes, closed) => {
        Object.assign(this.#command(handle), { taken: bytes, stdinClosed: closed });
      },
      exited: (handle, end) => {
        const command = this.#command(handle);
        const { usage, leftNothing, ...how } = end;
        command.end = how;
        command.usage = usage;
        command.leftNothing = leftNothing ?? false;
        command.over.resolve();
      },
      lost: (reason) => this.lost.resolve(reason),
    };
  }
}
