/**
 * Measures the speed of the store alone, through its interface. It shows CPU time beside wall-clock time, because other load on the
 * machine does not change CPU time much.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RawRecord, REPORT_KIND } from '../src/core/report.ts';
import type { Store } from '../src/store/store.ts';
import { inParallel, say, TINY } from './rounds.ts';
import { createIn, MACHINE, storeWithMachine } from './store-machine.ts';

const PARALLEL = 32;
/** Fraction of the amount of a full run. */
const PART = TINY ? 0.005 : 0.5;

async function report(store: Store, records: RawRecord[]): Promise<void> {
  const results = await store.appendReports({ machineId: MACHINE, records, clockOffsetMs: 0, now: Date.now() });
  for (const result of results) if (result.outcome !== 'applied') throw new Error(JSON.stringify(result));
}

function record(executionId: string, kind: keyof typeof REPORT_KIND, number: number, payload: Buffer): RawRecord {
  return { kind: REPORT_KIND[kind], executionId, number, at: Date.now(), payload };
}

const STARTED = Buffer.from('{"pid":4711}');
const ENDED = Buffer.from(
  '{"status":"succeeded","exit_code":0,"stdout_bytes":6,"stderr_bytes":0,"stdout_truncated":false,"stderr_truncated":false}',
);

/** Runs `body`, and prints its `units` per second, and per second of processor time. */
async function measure(name: string, units: number, unit: string, body: () => Promise<void>): Promise<void> {
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  await body();
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const cpuSeconds = (user + system) / 1e6;
  say('store', name, { [`${unit}_a_second`]: units / seconds, a_cpu_second: units / cpuSeconds });
}

process.stdout.write('\nthe store alone\n');
const directory = mkdtempSync(join(tmpdir(), 'execpnumber-bench-'));
try {
  const store = await storeWithMachine(join(directory, 'bench.db'));
  await measure('create, durable, one at a time', 2000 * PART, 'executions', () =>
    inParallel(2000 * PART, 1, (index) => createIn(store, `single-${index}`, true)),
  );
  await measure('create, dispatch, one report to the end', 30_000 * PART, 'executions', () =>
    inParallel(30_000 * PART, PARALLEL, async (index) => {
      const id = `short-${index}`;
      await createIn(store, id, true);
      await report(store, [record(id, 'started', 1, STARTED), record(id, 'ended', 2, ENDED)]);
    }),
  );
  await measure('the same with output, three reports', 20_000 * PART, 'executions', () =>
    inParallel(20_000 * PART, PARALLEL, async (index) => {
      const id = `output-${index}`;
      await createIn(store, id, true);
      await report(store, [record(id, 'started', 1, STARTED)]);
      await report(store, [record(id, 'stdout', 2, Buffer.from('hello\n'))]);
      await report(store, [record(id, 'ended', 3, ENDED)]);
    }),
  );
  const chunk = Buffer.alloc(65_536, 'x');
  const executions = 16;
  for (let number = 0; number < executions; number++) await createIn(store, `big-${number}`, true);
  const turns = TINY ? 16 : 512;
  await measure('output in 64 KiB chunks, 16 executions', (turns * 16 * chunk.length) / 1e6, 'MB', () =>
    inParallel(turns, executions, async (index) => {
      const id = `big-${index % executions}`;
      const first = Math.floor(index / executions) * 16;
      const records = Array.from({ length: 16 }, (_, offset) => record(id, 'stdout', first + offset + 1, chunk));
      await report(store, records);
    }),
  );
  await measure('reading it back', (turns * 16 * chunk.length) / 1e6, 'MB', () =>
    inParallel(turns * 4, 1, async (index) => {
      const offset = Math.floor(index / executions) * 4 * chunk.length;
      await store.readStream({
        executionId: `big-${index % executions}`,
        stream: 'stdout',
        offset,
        maxBytes: 4 * chunk.length,
      });
    }),
  );
  await measure('get', 50_000 * PART, 'reads', () =>
    inParallel(50_000 * PART, 1, async (index) => {
      await store.getExecution({ machineId: MACHINE, executionId: `short-${index % (30_000 * PART)}` });
    }),
  );
  say('store', 'afterwards', { resident_mb: process.memoryUsage.rss() / 1e6 });
  await store.close();
} finally {
  rmSync(directory, { recursive: true });
}
