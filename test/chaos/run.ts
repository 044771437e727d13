/** One chaos run: a server, an agent and a faulty network between them. No command may be lost or run twice. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { MachineClient, WireExecution } from '../helpers/client.ts';
import { isTerminal } from '../helpers/client.ts';
import { Deployment } from '../helpers/harness.ts';
import { until } from '../helpers/processes.ts';
import { readWhole } from '../helpers/stream-reader.ts';
import { type Created, databaseFaults, faultsOf } from './check.ts';
import { isData } from './frames.ts';
import { markHandled, retryUntilSuccess } from './retry.ts';
import { makePlan, type Step, formatStep } from './plan.ts';
import { type Direction, FaultyProxy, type Verdict } from './proxy.ts';
import { Random } from './random.ts';
import { makeTask, type Task } from './workload.ts';

export interface ChaosResult {
  seed: number;
  executions: number;
  lost: number;
  faults: string[];
  plan: string[];
  /** The logs of server and agent, if the run found an error. */
  log: string;
}

/** The time limit for all executions to end after network and processes are repaired, ms. */
const SETTLE_MS = 90_000;

class ChaosRun {
  readonly #deployment: Deployment;
  readonly #proxy: FaultyProxy;
  readonly #machine: MachineClient;
  readonly #random: Random;
  readonly #starts: string;
  readonly #created: Promise<Created>[] = [];
  readonly #away: Promise<void>[] = [];
  #reviving: Promise<void> | undefined;
  #runnersKilled = 0;

  constructor(deployment: Deployment, proxy: FaultyProxy, random: Random) {
    this.#deployment = deployment;
    this.#proxy = proxy;
    this.#machine = deployment.machine;
    this.#random = random;
    this.#starts = join(deployment.dir, 'starts');
  }

  /** Executes the plan, repairs all faults and waits until all executions have ended. */
  async play(plan: readonly Step[]): Promise<Created[]> {
    const began = performance.now();
    for (const step of plan) {
      await delay(Math.max(0, step.at - (performance.now() - began)));
      if (step.do === 'create') this.#createMany(step.count);
      else this.#away.push(markHandled(this.#fault(step)));
    }
    await Promise.all(this.#away);
    this.#proxy.heal();
    await Promise.all(this.#away); // from here on no frame kills a process; the processes that a frame killed come back
    await this.#everythingRuns();
    const created = await Promise.all(this.#created);
    await until('everything has ended', () => this.#allEnded(created), SETTLE_MS, 100);
    return created;
  }

  faults(created: readonly Created[]): Promise<string[]> {
    return faultsOf(this.#machine, created, { starts: this.#starts, mayBeLost: this.#runnersKilled > 0 });
  }

  #createMany(count: number): void {
    for (let n = 0; n < count; n += 1)
      this.#created.push(markHandled(this.#create(makeTask(this.#random, this.#starts))));
  }

  /** Creates an execution, with one Idempotency-Key for all attempts, and cancels it if the task has `cancelAfterMs`. */
  async #create(task: Task): Promise<Created> {
    const key = randomUUID();
    const { execution_id: id } = await retryUntilSuccess(() =>
      this.#machine.client.ask<WireExecution>('POST', this.#machine.path, {
        body: task.body,
        headers: { 'idempotency-key': key },
        signal: AbortSignal.timeout(5_000),
      }),
    );
    const read = task.body.output_mode === undefined ? {} : { read: markHandled(readWhole(this.#machine, id)) };
    if (task.cancelAfterMs !== undefined) {
      await delay(task.cancelAfterMs);
      await retryUntilSuccess(() => this.#machine.cancel(id));
    }
    return { task, id, ...read };
  }

  async #fault(step: Exclude<Step, { do: 'create' }>): Promise<void> {
    const { server, agent } = this.#deployment;
    switch (step.do) {
      case 'cut':
        return this.#proxy.cut();
      case 'freeze':
        this.#proxy.freeze();
        await delay(step.forMs);
        return this.#proxy.thaw();
      case 'delay':
        this.#proxy.delay(step.forMs / 20);
        await delay(step.forMs);
        return this.#proxy.delay(0);
      case 'truncate_to_server':
        return this.#hit(step.nth, 'to_server', 'truncate');
      case 'truncate_to_agent':
        return this.#hit(step.nth, 'to_agent', 'truncate');
      case 'cut_to_server':
        return this.#hit(step.nth, 'to_server', 'cut');
      case 'cut_to_agent':
        return this.#hit(step.nth, 'to_agent', 'cut');
      case 'repeat':
        return this.#proxy.rule((frame) => (isData(frame) ? 'repeat' : 'pass'));
      case 'kill_server':
      case 'stop_server':
        if (!server.process.running) return;
        await server.process.end(step.do === 'kill_server' ? 'SIGKILL' : 'SIGTERM');
        await delay(step.forMs);
        return this.#everythingRuns();
      case 'kill_link':
      case 'detach_link':
        if (!agent.link.running) return;
        await agent.link.end(step.do === 'kill_link' ? 'SIGKILL' : 'SIGTERM');
        await delay(step.forMs);
        return this.#everythingRuns();
      case 'kill_runner':
        return this.#killRunner();
      case 'kill_server_at_frame':
        return this.#atFrame(step.nth, { ...step, do: 'kill_server' });
      case 'kill_link_at_frame':
        return this.#atFrame(step.nth, { ...step, do: 'kill_link' });
      case 'kill_runner_at_frame':
        return this.#atFrame(step.nth, { ...step, do: 'kill_runner' });
    }
  }

  /** Applies `fault` when the `nth` data frame passes, in either direction. */
  #atFrame(nth: number, fault: Exclude<Step, { do: 'create' }>): void {
    let seen = 0;
    this.#proxy.rule((frame) => {
      if (!isData(frame)) return 'pass';
      seen += 1;
      if (seen === nth + 1) this.#away.push(markHandled(this.#fault(fault)));
      return 'pass';
    });
  }

  /** Applies `verdict` to the `nth` data frame in this direction; all others pass. */
  #hit(nth: number, direction: Direction, verdict: Verdict): void {
    let seen = 0;
    this.#proxy.rule((frame, way) => {
      if (way !== direction || !isData(frame)) return 'pass';
      seen += 1;
      return seen === nth + 1 ? verdict : 'pass';
    });
  }

  #killRunner(): void {
    try {
      process.kill(this.#deployment.agent.runnerPid(), 'SIGKILL');
      this.#runnersKilled += 1;
    } catch {
      // There is no runner now: it was killed, and no link has started another yet.
    }
  }

  /** Starts the processes that do not run, one call after the other. Repeats that for a server that another fault kills while it starts. */
  async #everythingRuns(): Promise<void> {
    const { agent } = this.#deployment;
    if (!agent.link.running) agent.restart();
    this.#reviving ??= this.#reviveServer().finally(() => {
      this.#reviving = undefined;
    });
    await this.#reviving;
  }

  async #reviveServer(): Promise<void> {
    const { server } = this.#deployment;
    for (;;) {
      try {
        await (server.process.running ? server.ready() : server.restart());
        return;
      } catch (error) {
        if (server.process.running) throw error;
      }
    }
  }

  async #allEnded(created: readonly Created[]): Promise<boolean> {
    for (const { id } of created) if (!isTerminal((await this.#machine.read(id)).status)) return false;
    return true;
  }
}

/** Runs the plan of `seed` for about `durationMs`. Returns the result with the errors. */
export async function runChaos(seed: number, durationMs: number): Promise<ChaosResult> {
  const random = new Random(seed);
  const plan = makePlan(random, durationMs);
  const result: ChaosResult = { seed, executions: 0, lost: 0, faults: [], plan: plan.map(formatStep), log: '' };
  const deployment = await Deployment.start({ machine: null, server: { EXECPLANE_CANCEL_GRACE_MS: '300' } });
  let proxy: FaultyProxy | undefined;
  try {
    proxy = await FaultyProxy.start(deployment.server.port);
    await deployment.join('dm-chaos', { EXECPLANE_URL: proxy.url, EXECPLANE_MAX_CONCURRENCY: '16' });
    const run = new ChaosRun(deployment, proxy, random);
    const created = await run.play(plan);
    result.executions = created.length;
    result.faults.push(...(await run.faults(created)));
    for (const { id } of created) if ((await deployment.machine.read(id)).error_code === 'agent_lost') result.lost += 1;
  } catch (error) {
    result.faults.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  result.log = await takeDown(deployment, proxy, result.faults);
  return result;
}

async function takeDown(deployment: Deployment, proxy: FaultyProxy | undefined, faults: string[]): Promise<string> {
  const say = (error: unknown) => faults.push(error instanceof Error ? error.message : String(error));
  const stopped = deployment.agents.map((agent) => agent.stop().catch(say));
  await Promise.all(stopped);
  await deployment.server.stop().catch(say);
  faults.push(...databaseFaults(deployment.server.dataDir));
  const log = [deployment.server.log, ...deployment.agents.map((agent) => agent.log)].join('\n');
  await proxy?.close();
  await deployment.dispose().catch(say);
  return log;
}
