/**
 * Measures the time of a create while retention deletes a large database. Store and housekeeping run in one process, as in the server, so
 * that a step of housekeeping delays creates as it does there. `node bench/retention.ts`
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { REPORT_KIND } from '../src/core/report.ts';
import { startHousekeeping } from '../src/server/operations/housekeeping.ts';
import { inParallel, percentile, say, TINY } from './rounds.ts';
import { createIn, MACHINE, storeWithMachine } from './store-machine.ts';

/** Finished executions with a line of output each, and some with much output. */
const SMALL = TINY ? 200 : 20_000;
const LARGE = TINY ? 2 : 50;
const CHUNK = Buffer.alloc(65_536, 'x');
const CHUNKS = TINY ? 4 : 128;
const DAY_MS = 86_400_000;
const BETWEEN_CREATES_MS = 2;
const BASELINE_CREATES = TINY ? 20 : 2000;
const ENDED = Buffer.from('{"status":"succeeded","exit_code":0,"stdout_bytes":6,"stderr_bytes":0}');

const directory = mkdtempSync(join(tmpdir(), 'execplane-bench-'));
const path = join(directory, 'bench.db');
const store = await storeWithMachine(path);
let created = 0;
/** Durations, in ms. */
const alone: number[] = [];
const during: number[] = [];
const steps: number[] = [];
try {
  await fill();
  const megabytes = Math.round(statSync(path).size / 1e6);
  for (let count = 0; count < BASELINE_CREATES; count += 1) alone.push(await timedCreate());
  const from = performance.now();
  await createsDuringRetention();
  tell('create, alone', alone);
  tell('create, while retention deletes', during);
  tell('CPU time of a step of retention', steps);
  const left = Math.round(statSync(path).size / 1e6);
  const seconds = (performance.now() - from) / 1000;
  say('retention', `${SMALL + LARGE} finished executions`, { mb: megabytes, mb_afterwards: left, s: seconds });
} finally {
  await store.close();
  rmSync(directory, { recursive: true });
}

async function fill(): Promise<void> {
  await inParallel(SMALL, 32, async (index) => {
    const id = `small-${index}`;
    await createIn(store, id, true);
    await report(id, [['stdout', Buffer.from('hello\n')]]);
  });
  const usedBytes = await store.usedBytes();
  say('retention', 'database, for an execution with a line', { bytes: usedBytes / SMALL });
  await inParallel(LARGE, 4, async (index) => {
    const id = `large-${index}`;
    await createIn(store, id, true);
    await report(
      id,
      Array.from({ length: CHUNKS }, () => ['stdout', CHUNK] as const),
    );
  });
}

async function report(executionId: string, output: readonly (readonly ['stdout', Buffer])[]): Promise<void> {
  const payloads = [['started', Buffer.from('{"pid":1}')], ...output, ['ended', ENDED]] as const;
  const records = payloads.map(([kind, payload], index) => ({
    kind: REPORT_KIND[kind],
    executionId,
    number: index + 1,
    at: Date.now(),
    payload,
  }));
  await store.appendReports({ machineId: MACHINE, records, clockOffsetMs: 0, now: Date.now() });
}

/** One durable create after an idle moment. Returns ms from the call to its commit. */
async function timedCreate(): Promise<number> {
  await sleep(BETWEEN_CREATES_MS);
  const from = performance.now();
  created += 1;
  await createIn(store, `new-${created}`, false);
  return performance.now() - from;
}

/** Creates executions until all finished executions, which are past their age, are deleted and the space is returned. */
async function createsDuringRetention(): Promise<void> {
  const done = new AbortController();
  const housekeeping = startHousekeeping({
    store: {
      ...store,
      deleteFinished: (parameters) => timedStep(() => store.deleteFinished(parameters)),
      maintain: (asked) => timedStep(() => store.maintain(asked)),
    },
    logger: {
      info: () => done.abort(),
      warn: (...details: unknown[]) => process.stderr.write(`${details.join(' ')}\n`),
    },
    now: () => Date.now() + 31 * DAY_MS,
    retentionDays: 30,
    maxDatabaseBytes: 0,
  });
  while (!done.signal.aborted) during.push(await timedCreate());
  await housekeeping.stop();
}

/** Prints the distribution of times. The CPU time of a step does not depend on other load, but includes creates within the step. */
async function timedStep<T>(step: () => Promise<T>): Promise<T> {
  const from = process.cpuUsage();
  const result = await step();
  const { user, system } = process.cpuUsage(from);
  steps.push((user + system) / 1000);
  return result;
}

function tell(label: string, times: readonly number[]): void {
  const [p50, p99] = [percentile(times, 0.5), percentile(times, 0.99)];
  say('retention', label, { p50_ms: p50, p99_ms: p99, worst_ms: Math.max(...times), count: times.length });
}
