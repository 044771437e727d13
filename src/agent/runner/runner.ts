import { join } from 'node:path';
import type { Held } from '../../core/protocol.ts';
import type { Attach, LinkToRunner, RunnerToLink } from '../runner-socket/frames.ts';
import { type Clock, startClock } from './journal/clock.ts';
import { DropFolders } from './artifacts/drop-folder.ts';
import { Executions } from './executions/executions.ts';
import type { HostUser } from './executions/host-user.ts';
import { prepareLaunch } from './executions/launch.ts';
import { failure } from './executions/outcome.ts';
import { type Instance, leaveInstance, takeInstance } from './instance.ts';
import type { ExecutionLog } from './journal/execution-log.ts';
import { Journal } from './journal/journal.ts';
import { JournalWriter, type WriterState } from './journal/writer.ts';
import { LinkSocket } from './link-socket.ts';
import type { RunnerLog } from './log.ts';
import { Outbox } from './outbox.ts';
import type { Policy } from './policy/policy.ts';
import { LOG_KEY } from '../../node/log-keys.ts';
import { passingBuffers } from '../../node/native/passing-buffers.ts';
import { bootId } from '../../node/process-table.ts';
import { processIdentity } from '../../node/process-identity.ts';
import { describeProcess } from './spawner/process-tree.ts';
import { recover } from './recovery.ts';
import { handleServerFrame, type RunnerParts, sendCapacity, sendStdinAck } from './server-frames.ts';
import type { Spawner, SpawnerEvents } from './spawner/spawner.ts';
import { SpawnerSupervisor } from './spawner-supervisor.ts';
import { DirectoryPresence, LastLook, makeDirectory } from '../../node/directory.ts';

/** Time for which a stopping runner waits for the acknowledgement of its last reports, ms. Afterwards they stay in the journal. */
const LAST_ACKS_MS = 10_000;

export interface RunnerOptions {
  /** The agent's directory, locked for this process (runner-lock.ts). */
  directory: string;
  hostUser: HostUser;
  policy: Policy;
  log: RunnerLog;
  startSpawner: (events: SpawnerEvents) => Promise<Spawner>;
  /** Time without a link and without commands after which the runner exits, ms. */
  idleMs?: number;
  /** Delay after a failed write to the journal. */
  diskRetryMs?: number;
  segmentBytes?: number;
  quotaBytes?: number;
}

/**
 * The process that owns the commands of a machine. It runs until it is stopped, or until it has had no commands and no link for some time.
 * Then `left` settles.
 */
export class Runner {
  readonly left: Promise<void>;
  readonly #options: RunnerOptions;
  readonly #clock: Clock = startClock();
  readonly #instance: Instance;
  readonly #directory: DirectoryPresence;
  readonly #isPresent: LastLook<boolean>;
  readonly #journal: Journal;
  readonly #writer: JournalWriter;
  readonly #dropFolders = new DropFolders();
  readonly #executions: Executions;
  readonly #outbox: Outbox;
  readonly #socket: LinkSocket;
  readonly #supervisor: SpawnerSupervisor;
  readonly #parts: RunnerParts;
  readonly #leave = Promise.withResolvers<void>();
  #waitingForRoom: (() => void)[] = [];
  /** Processes that are not in the journal yet. */
  #spawned: { log: ExecutionLog; pid: number }[] = [];
  #recovering = true;
  #stopping = false;
  #leaving = false;
  /** Timer for leaving: when idle, or when stopping and the last acknowledgements do not come. */
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RunnerOptions) {
    const { directory, segmentBytes, quotaBytes, diskRetryMs = 250 } = options;
    this.#options = options;
    this.left = this.#leave.promise;
    makeDirectory(directory, 0o700);
    this.#instance = takeInstance(directory, bootId());
    this.#directory = new DirectoryPresence(directory);
    this.#isPresent = new LastLook(directory, () => this.#directory.present);
    this.#journal = new Journal({
      directory: join(directory, 'journal'),
      clock: this.#clock,
      ...(segmentBytes !== undefined && { segmentBytes }),
      ...(quotaBytes !== undefined && { quotaBytes }),
      onReport: (log) => this.#outbox.offer(log),
    });
    this.#writer = new JournalWriter({
      journal: this.#journal,
      retryMs: diskRetryMs,
      onWrite: () => this.#noteProcesses(),
      onWritten: () => this.#written(),
      onFailed: () => this.#outbox.sendMore(),
      onState: (state) => this.#writerState(state),
    });
    this.#socket = new LinkSocket(directory, {
      attached: (attach) => this.#attached(attach),
      frame: (frame, attachment) => this.#frame(frame, attachment),
      drained: () => this.#outbox.drained(),
      detached: () => this.#detached(),
    });
    this.#outbox = new Outbox({
      read: (log, number) => this.#journal.read(log, number),
      unreadable: () => this.#socket.hangUp(),
      send: (records) => this.#socket.sendRecords(records),
    });
    this.#executions = this.#makeExecutions();
    this.#supervisor = new SpawnerSupervisor(options.startSpawner, this.#executions);
    this.#parts = {
      directory,
      instance: this.#instance,
      journal: this.#journal,
      writer: this.#writer,
      executions: this.#executions,
      outbox: this.#outbox,
      socket: this.#socket,
      refusal: () => (this.#stopping ? 'stopping' : this.#writer.state.failing ? 'disk_full' : undefined),
    };
  }

  /** Recovers the executions of the last runner, then listens for a link. */
  async start(): Promise<void> {
    const recovered = recover(this.#journal, bootId(), () => this.#writer.schedule());
    await this.#supervisor.open();
    await this.#socket.listen();
    this.#writer.schedule();
    void recovered.then(() => {
      this.#recovering = false;
      this.#writer.schedule();
    });
  }

  /** Creates the socket for links again if it was removed. */
  async listenAnew(): Promise<void> {
    await this.#socket.listenAnew();
  }

  /** Ends all commands: no new work, SIGTERM, SIGKILL after `graceMs`. Exits when all ends are reported. */
  stop(graceMs: number): void {
    if (!this.#stopping) {
      this.#stopping = true;
      sendCapacity(this.#parts);
    }
    for (const execution of this.#executions.all()) execution.end('stopped', graceMs);
    this.#writer.schedule();
  }

  #makeExecutions(): Executions {
    const { hostUser, policy, log: runnerLog } = this.#options;
    return new Executions(
      {
        dropFolders: this.#dropFolders,
        prepare: (start) =>
          this.#isPresent.value
            ? prepareLaunch(start, hostUser, policy)
            : { ok: false, ending: failure('spawn_failed', this.#directory.removedMessage) },
        brokenRule: (argv, resolved) => policy.brokenRule({ argv, ...resolved }),
        describe: (pids) => pids.map(describeProcess),
        report: (log, kind, payload) => {
          passingBuffers.add(payload.length);
          this.#journal.report(log, kind, payload);
          this.#writer.schedule();
        },
        spawned: (log, pid) => this.#spawned.push({ log, pid }),
        killFailed: ({ executionId }, processes) =>
          runnerLog.warn(
            { [LOG_KEY.executionId]: executionId, [LOG_KEY.processes]: processes },
            'SIGKILL did not end a command, which may still run: end its processes by hand',
          ),
        room: () => this.#room(),
        stdinMoved: (execution, writer) => sendStdinAck(this.#parts, execution, writer),
      },
      () => {
        this.#writer.schedule();
        if (this.#writer.state.failing) this.#considerLeaving();
      },
    );
  }

  /** Adds the processes that were started since the last write, except those that have ended meanwhile. */
  #noteProcesses(): void {
    for (const { log, pid } of this.#spawned.splice(0)) {
      if (this.#executions.get(log.executionId)?.state !== 'running') continue;
      const identity = processIdentity(pid);
      if (identity !== undefined) this.#journal.spawned(log, identity);
    }
  }

  /** Settles when artifacts may be added: half of the journal is reserved for output and the ends of executions. */
  #room(): Promise<void> {
    this.#writer.schedule();
    return new Promise((resolve) => this.#waitingForRoom.push(resolve));
  }

  #attached(attach: Attach): RunnerToLink {
    this.#executions.maxConcurrency = Math.max(1, attach.max_concurrency);
    this.#writer.schedule();
    return { type: 'attached', runner_instance: this.#instance.runnerInstance, pid: process.pid };
  }

  #frame(frame: Exclude<LinkToRunner, Attach>, attachment: Buffer): void {
    if (frame.type === 'prepare') {
      this.#outbox.close();
      this.#writer.write();
      this.#socket.send(this.#state());
    } else if (frame.type === 'unlinked') {
      this.#outbox.close();
      this.#writer.schedule();
    } else if (frame.type === 'stop') this.stop(frame.grace_ms);
    else handleServerFrame(this.#parts, frame, attachment);
  }

  #detached(): void {
    this.#outbox.close();
    this.#writer.schedule();
  }

  #state(): RunnerToLink {
    const held: Held[] = [...this.#journal.logs.values()].map((log) => ({
      execution_id: log.executionId,
      state: this.#executions.get(log.executionId)?.state ?? (log.ended ? 'ended' : 'running'),
      reported: log.tally.reported,
    }));
    return {
      type: 'state',
      runner_instance: this.#instance.runnerInstance,
      boot_id: bootId(),
      last_dispatch_number: this.#instance.lastDispatchNumber,
      clock_ms: this.#clock.now(),
      held,
      features: ['output_limit', 'usage', 'stdin_writers', ...this.#supervisor.features],
    };
  }

  #written(): void {
    if (this.#leaving) return;
    this.#executions.admit();
    this.#outbox.sendMore();
    this.#executions.tidy();
    if (!this.#journal.halfFull) for (const proceed of this.#waitingForRoom.splice(0)) proceed();
    this.#considerLeaving();
  }

  #writerState({ blocked }: WriterState): void {
    this.#executions.pause(blocked);
    sendCapacity(this.#parts);
  }

  /** Called after each turn in which something may have changed. */
  #considerLeaving(): void {
    const busy = this.#recovering || this.#executions.size > 0;
    const heard = !this.#outbox.open || this.#journal.logs.size === 0;
    if (!busy && this.#stopping && heard && !this.#writer.state.failing) this.#leaveNow();
    else if (!busy && this.#stopping) this.#timer ??= setTimeout(this.#leaveNow, LAST_ACKS_MS);
    else if (!busy && !this.#socket.attached)
      this.#timer ??= setTimeout(this.#leaveNow, this.#options.idleMs ?? 10_000);
    else {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
  }

  /** Exits, when nothing runs. Unacknowledged reports stay in the journal; the next runner continues as the same instance. */
  readonly #leaveNow = (): void => {
    if (this.#leaving) return;
    this.#leaving = true;
    clearTimeout(this.#timer);
    this.#writer.write();
    this.#writer.stop();
    this.#socket.send({ type: 'stopped' });
    this.#leave.resolve(this.#close());
  };

  async #close(): Promise<void> {
    await this.#socket.close();
    await this.#supervisor.close();
    this.#dropFolders.close();
    this.#journal.close();
    this.#isPresent.close();
    leaveInstance(this.#options.directory, bootId(), this.#instance);
  }
}
