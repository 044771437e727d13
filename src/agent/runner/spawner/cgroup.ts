/** The cgroup of one command: its limits, its processes, its usage. */
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../../node/error-code.ts';
import {
  membersOf,
  numbersOf,
  readControl,
  readDescriptor,
  removed,
  removeEmpty,
  sumOf,
  writeControl,
} from './cgroup-place.ts';
import type { SpawnLimits, Usage } from './spawner.ts';

const CPU_PERIOD_US = 100_000;

/** The processor time of the processes of a cgroup, µs. */
interface ProcessorTime {
  user: number;
  system: number;
}

/** The cgroup of one command. */
export class Cgroup {
  readonly path: string;
  /** Whether no process is left in it or below it. False if that is not known. */
  leftNothing = false;
  /** Descriptor of cgroup.events, opened on demand: most commands end with an empty cgroup, which `remove` detects without it. */
  #events: number | undefined;
  /** Descriptor of cpu.stat. */
  #cpu: number | undefined;
  /** The processor time of the commands before this one. */
  #before: ProcessorTime = { user: 0, system: 0 };
  /** The processor time that was read last. */
  #total: ProcessorTime = { user: 0, system: 0 };
  readonly #controllers: ReadonlySet<string>;

  /** `controllers`: the controllers that measure the processes of this cgroup. */
  constructor(path: string, controllers: ReadonlySet<string>) {
    mkdirSync(path);
    this.path = path;
    this.#controllers = controllers;
  }

  /** Sets its limits before its command starts. Returns false if that is impossible, or if it was removed: then it is of no use. */
  prepare(limits: SpawnLimits): boolean {
    try {
      if (this.#cpu === undefined) this.#openCpu();
      this.#limit(limits);
      return true;
    } catch {
      this.dispose();
      return false;
    }
  }

  /** Whether there is a process in the cgroup or below it. False if the cgroup was removed. */
  populated(): boolean {
    try {
      this.#events ??= openSync(join(this.path, 'cgroup.events'), 'r');
      return readDescriptor(this.#events)?.includes('populated 1') ?? false;
    } catch {
      return false;
    }
  }

  /**
   * Sends SIGKILL to every process in the cgroup. cgroup.kill also kills processes that are being forked, but not a process whose main thread
   * has ended before the others (pthread_exit). Such a process is killed by its pid.
   */
  kill(): void {
    writeControl(this.path, 'cgroup.kill', '1');
    for (const pid of membersOf(this.path)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // The process has ended, or may not be signalled. `populated` shows the difference.
      }
    }
  }

  /** Returns the pids of the processes in it or below it. */
  members(): number[] {
    return membersOf(this.path);
  }

  /** Returns the usage of its processes, ended ones included. Memory and I/O are known only with their controllers. */
  usage(): Partial<Usage> {
    const cpu = this.#processorTime();
    const peak = Number(this.#measured('memory', 'memory.peak') ?? Number.NaN);
    const io = this.#measured('io', 'io.stat');
    return {
      ...(cpu && { cpuUserMs: Math.round(cpu.user / 1000), cpuSystemMs: Math.round(cpu.system / 1000) }),
      ...(Number.isFinite(peak) && { maxMemoryBytes: peak }),
      ...(io !== undefined && { ioReadBytes: sumOf(io, 'rbytes'), ioWriteBytes: sumOf(io, 'wbytes') }),
    };
  }

  /** Prepares it for another command, which is measured from here on. The caller knows that nothing else has changed. */
  renew(): void {
    this.#before = this.#total;
    this.leftNothing = false;
  }

  /** The processor time of this command. Undefined if it is not known. */
  #processorTime(): ProcessorTime | undefined {
    const { user_usec: user, system_usec: system } = numbersOf(
      this.#cpu === undefined ? '' : readDescriptor(this.#cpu),
    );
    if (user === undefined || system === undefined) return undefined;
    this.#total = { user, system };
    return { user: user - this.#before.user, system: system - this.#before.system };
  }

  /** Throws if the cgroup was removed. Without a free descriptor its processor time stays unknown. */
  #openCpu(): void {
    try {
      this.#cpu = openSync(join(this.path, 'cpu.stat'), 'r');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') throw error;
    }
  }

  #measured(controller: string, name: string): string | undefined {
    return this.#controllers.has(controller) ? readControl(this.path, name) : undefined;
  }

  /** Whether the kernel killed a process of it because the memory limit was reached. */
  outOfMemory(): boolean {
    return (numbersOf(this.#measured('memory', 'memory.events'))['oom_kill'] ?? 0) > 0;
  }

  /** Removes the cgroup, unless there is a process in it or a cgroup below it. Returns whether it was removed. */
  remove(): boolean {
    this.#close();
    return removed(this.path);
  }

  /** Removes the cgroup, and those that the command created below it, if they have no processes. It is not used any more. */
  dispose(): void {
    this.#close();
    removeEmpty(this.path);
  }

  #close(): void {
    for (const descriptor of [this.#events, this.#cpu]) if (descriptor !== undefined) closeSync(descriptor);
    this.#events = this.#cpu = undefined;
  }

  #limit({ memoryBytes, cpus, pids }: SpawnLimits): void {
    if (memoryBytes !== undefined) {
      writeControl(this.path, 'memory.max', String(memoryBytes));
      if (existsSync(join(this.path, 'memory.swap.max'))) writeControl(this.path, 'memory.swap.max', '0');
      writeControl(this.path, 'memory.oom.group', '1');
    }
    if (cpus !== undefined) writeControl(this.path, 'cpu.max', `${Math.round(cpus * CPU_PERIOD_US)} ${CPU_PERIOD_US}`);
    if (pids !== undefined) writeControl(this.path, 'pids.max', String(pids));
  }
}
