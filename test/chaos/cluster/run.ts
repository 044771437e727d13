/** One chaos run over several servers. It checks that acknowledged executions exist, ran once, and are complete. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isTerminal, type WireExecution } from '../../helpers/client.ts';
import { until } from '../../helpers/processes.ts';
import { readWhole } from '../../helpers/stream-reader.ts';
import { type Created, faultsOf } from '../check.ts';
import { Random } from '../random.ts';
import { markHandled, retryUntilSuccess } from '../retry.ts';
import type { ChaosResult } from '../run.ts';
import { makeTask, type Task } from '../workload.ts';
import { type ClusterStep, makeClusterPlan, formatClusterStep } from './plan.ts';
import type { ClusterDeployment } from './deployment.ts';

interface WireBatch {
  batch_id: string;
  status: string;
  counts: Record<string, number>;
}

/** An execution that was acknowledged, with the request to repeat its creation. */
interface Acknowledged extends Created {
  machineId: string;
  key: string;
}

interface CreatedBatch {
  id: string;
  task: Task;
  cancelled: boolean;
}

/** The time limit for all executions to end after all faults are repaired, ms. */
const SETTLE_MS = 120_000;
const REQUEST_TIMEOUT_MS = 5000;

class ClusterChaosRun {
  readonly #deployment: ClusterDeployment;
  readonly #random: Random;
  readonly #starts: string;
  readonly #created: Promise<Acknowledged>[] = [];
  readonly #batches: Promise<CreatedBatch>[] = [];
  readonly #faults: Promise<void>[] = [];
  readonly #reviving = new Map<number, Promise<void>>();
  #database: Promise<void> = Promise.resolve();

  constructor(deployment: ClusterDeployment, random: Random, seed: number) {
    this.#deployment = deployment;
    this.#random = random;
    this.#starts = join(deployment.dir, `starts-${seed}`);
  }

  /** Executes the plan, repairs all faults and waits until all executions have ended. Returns the errors. */
  async play(plan: readonly ClusterStep[]): Promise<{ executions: number; lost: number; faults: string[] }> {
    const began = performance.now();
    for (const step of plan) {
      await delay(Math.max(0, step.at - (performance.now() - began)));
      if (step.do === 'create') this.#createMany(step.count);
      else if (step.do === 'create_batch') this.#batches.push(markHandled(this.#createBatch()));
      else this.#faults.push(markHandled(this.#strike(step)));
    }
    await Promise.all(this.#faults);
    await this.#database;
    for (const index of this.#deployment.servers.keys()) await this.#revive(index);
    const created = await Promise.all(this.#created);
    const batches = await Promise.all(this.#batches);
    let unfinished: string[] = [];
    await until(
      () => `everything has ended; what has not:\n${unfinished.join('\n')}`,
      async () => {
        unfinished = await this.#unfinished(created, batches);
        return unfinished.length === 0;
      },
      SETTLE_MS,
      200,
    );
    return this.#check(created, batches);
  }

  #createMany(count: number): void {
    for (let n = 0; n < count; n += 1) {
      const machineId = this.#deployment.agent(this.#random.between(0, 1)).machineId;
      const task = makeTask(this.#random, this.#starts);
      this.#created.push(markHandled(this.#create(machineId, task)));
    }
  }

  async #create(machineId: string, task: Task): Promise<Acknowledged> {
    const key = randomUUID();
    const { execution_id: id } = await retryUntilSuccess(() => this.#ask(machineId, task, key));
    const machine = this.#deployment.client.machine(machineId);
    const read = task.body.output_mode === undefined ? {} : { read: markHandled(readWhole(machine, id)) };
    if (task.cancelAfterMs !== undefined) {
      await delay(task.cancelAfterMs);
      await retryUntilSuccess(() => machine.cancel(id));
    }
    return { task, id, machineId, key, ...read };
  }

  #ask(machineId: string, task: Task, key: string): Promise<WireExecution> {
    return this.#deployment.client.ask<WireExecution>('POST', `/v1/machines/${machineId}/executions`, {
      body: task.body,
      headers: { 'idempotency-key': key },
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
  }

  /** Creates a batch of one command on all machines, sequential or parallel. Half of the long batches are cancelled. */
  async #createBatch(): Promise<CreatedBatch> {
    const { cancelAfterMs, body: made, ...expected } = makeTask(this.#random, this.#starts);
    const { output_mode: _, ...command } = made;
    const task = { ...expected, body: command };
    const machineIds = this.#deployment.agents.map(({ machineId }) => machineId);
    const body = {
      ...command,
      selector: { machine_ids: machineIds },
      max_concurrency: this.#random.between(1, machineIds.length),
    };
    const headers = { 'idempotency-key': randomUUID() };
    const { batch_id: id } = await retryUntilSuccess(() =>
      this.#deployment.client.ask<WireBatch>('POST', '/v1/batches', {
        ...{ body, headers, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) },
      }),
    );
    if (cancelAfterMs === undefined) return { id, task, cancelled: false };
    await delay(cancelAfterMs);
    await retryUntilSuccess(() => this.#deployment.client.ask('DELETE', `/v1/batches/${id}`));
    return { id, task: { ...task, ends: [...task.ends, 'succeeded'] }, cancelled: true };
  }

  async #strike({ do: fault, forMs, of }: Exclude<ClusterStep, { do: 'create' | 'create_batch' }>): Promise<void> {
    const { links } = this.#deployment;
    switch (fault) {
      case 'kill_server':
      case 'stop_server':
        await this.#deployment.server(of).process.end(fault === 'kill_server' ? 'SIGKILL' : 'SIGTERM');
        await delay(forMs);
        return this.#revive(of);
      case 'freeze_server':
        return this.#freezeServer(of, forMs);
      case 'cut_links':
        return links.cut();
      case 'freeze_links':
        links.freeze();
        await delay(forMs);
        return links.thaw();
      case 'cut_database':
        return this.#deployment.database(of).cut();
      case 'freeze_database':
        this.#deployment.database(of).freeze();
        await delay(forMs);
        return this.#deployment.database(of).thaw();
      case 'restart_database':
      case 'crash_database':
        this.#database = this.#database.then(() => this.#restartDatabase(fault, forMs));
        return this.#database;
      case 'end_backends':
        return this.#endBackends("state <> 'idle' OR pid % 3 = 0");
      case 'lose_hints':
        return this.#loseHints(forMs);
      case 'kill_link': {
        const agent = this.#deployment.agent(of);
        await agent.link.end('SIGKILL');
        await delay(forMs);
        if (!agent.link.running) agent.restart();
      }
    }
  }

  /** Stops the process: its connections stay open, and nothing is read from them. */
  async #freezeServer(of: number, forMs: number): Promise<void> {
    const { process: frozen } = this.#deployment.server(of);
    if (frozen.running) process.kill(frozen.pid, 'SIGSTOP');
    await delay(forMs);
    if (frozen.running) process.kill(frozen.pid, 'SIGCONT');
  }

  async #restartDatabase(fault: 'restart_database' | 'crash_database', forMs: number): Promise<void> {
    await this.#deployment.postgres.halt(fault === 'restart_database' ? 'fast' : 'immediate');
    await delay(forMs);
    await this.#deployment.postgres.run();
  }

  /** Cuts the connections that listen for hints repeatedly, so that hints are lost. */
  async #loseHints(forMs: number): Promise<void> {
    const until = performance.now() + forMs;
    while (performance.now() < until) {
      await this.#endBackends("query LIKE 'LISTEN%' OR query = 'SELECT 1'");
      await delay(100);
    }
  }

  async #endBackends(which: string): Promise<void> {
    const text = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND (${which})`;
    // The query fails while the database is stopped; there are no connections to end then.
    await this.#deployment.postgres.query(text).catch(() => undefined);
  }

  /** Starts the server and waits until it is ready. Repeats that if another fault kills it meanwhile. */
  #revive(index: number): Promise<void> {
    const reviving = this.#reviving.get(index) ?? this.#reviveServer(index).finally(() => this.#reviving.delete(index));
    this.#reviving.set(index, reviving);
    return reviving;
  }

  async #reviveServer(index: number): Promise<void> {
    const server = this.#deployment.server(index);
    const until = performance.now() + SETTLE_MS;
    for (;;) {
      try {
        await (server.process.running ? server.ready() : server.restart());
        return;
      } catch (error) {
        // The server exits if it cannot reach the database at its start, or another fault kills it.
        if (server.process.running || performance.now() > until) throw error;
      }
    }
  }

  async #unfinished(created: readonly Acknowledged[], batches: readonly CreatedBatch[]): Promise<string[]> {
    const found: unknown[] = [];
    for (const { machineId, id } of created) {
      const execution = await this.#deployment.client.machine(machineId).read(id);
      if (!isTerminal(execution.status)) found.push(execution);
    }
    for (const { id } of batches) {
      const batch = await this.#batch(id);
      if (batch.status === 'running') found.push(batch);
    }
    return found.map((item) => JSON.stringify(item));
  }

  #batch(id: string): Promise<WireBatch> {
    return this.#deployment.client.ask<WireBatch>('GET', `/v1/batches/${id}`);
  }

  async #check(created: readonly Acknowledged[], batches: readonly CreatedBatch[]) {
    const faults: string[] = [];
    const all: Omit<Acknowledged, 'key'>[] = [...created];
    for (const batch of batches) {
      const { items } = await this.#deployment.client.ask<{ items: WireExecution[] }>(
        'GET',
        `/v1/batches/${batch.id}/executions`,
      );
      for (const { execution_id: id, machine_id: machineId } of items) all.push({ id, machineId, task: batch.task });
      faults.push(...(await this.#batchFaults(batch, items)));
    }
    let lost = 0;
    for (const { machineId } of this.#deployment.agents) {
      const ofMachine = all.filter((execution) => execution.machineId === machineId);
      const checked = { starts: this.#starts, mayBeLost: false, known: new Set(all.map(({ id }) => id)) };
      faults.push(...(await faultsOf(this.#deployment.client.machine(machineId), ofMachine, checked)));
      for (const { id } of ofMachine) {
        const { error_code: code } = await this.#deployment.client.machine(machineId).read(id);
        if (code === 'agent_lost') lost += 1;
      }
    }
    for (const { machineId, task, key, id } of created) {
      const { execution_id: again } = await this.#ask(machineId, task, key);
      if (again !== id) faults.push(`${id}: its key now stands for ${again}`);
    }
    return { executions: all.length, lost, faults };
  }

  async #batchFaults(batch: CreatedBatch, executions: readonly WireExecution[]): Promise<string[]> {
    const { status, counts } = await this.#batch(batch.id);
    const machines = this.#deployment.agents.length;
    const sum = Object.values(counts).reduce((total, count) => total + count, 0);
    const title = `batch ${batch.id} (${status}, ${JSON.stringify(counts)})`;
    const faults: string[] = [];
    if (sum !== machines) faults.push(`${title}: counts ${sum} machines of ${machines}`);
    if (new Set(executions.map(({ machine_id: id }) => id)).size !== executions.length)
      faults.push(`${title}: a machine has two executions`);
    if (!batch.cancelled && executions.length !== machines)
      faults.push(`${title}: ${executions.length} executions for ${machines} machines`);
    if (batch.cancelled && status !== 'cancelled' && status !== 'succeeded' && status !== 'failed')
      faults.push(`${title}: is not over`);
    return faults;
  }
}

/** Runs the plan of `seed` for about `durationMs` in `deployment`. Afterwards all faults are repaired, unless the run found an error. */
export async function runClusterChaos(
  deployment: ClusterDeployment,
  seed: number,
  durationMs: number,
): Promise<ChaosResult> {
  const random = new Random(seed);
  const plan = makeClusterPlan(random, durationMs, deployment.servers.length);
  const result: ChaosResult = { seed, executions: 0, lost: 0, faults: [], plan: plan.map(formatClusterStep), log: '' };
  try {
    Object.assign(result, await new ClusterChaosRun(deployment, random, seed).play(plan));
  } catch (error) {
    result.faults.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  if (result.faults.length > 0) result.log = deployment.log;
  return result;
}
