/** Random histories compared with a model: the log must be correct for any order and repetition of reports. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isTerminal } from '../../../src/core/execution.ts';
import { type RawRecord, REPORT_KIND, type ReportKind } from '../../../src/core/report.ts';
import { type Bench, ended, type OpenStore, RUNNER, record, T0, useStore } from './fixture.ts';

/** The reports of an agent on one command, in order. */
const script = fc
  .record({
    output: fc.array(
      fc.record({
        kind: fc.constantFrom('stdout' as const, 'stderr' as const),
        bytes: fc.uint8Array({ maxLength: 40 }),
      }),
      { maxLength: 8 },
    ),
    starts: fc.boolean(),
    status: fc.constantFrom('succeeded', 'failed', 'cancelled'),
  })
  .map(({ output, starts, status }) => {
    const parts: [ReportKind, Buffer | object][] = [];
    if (starts) parts.push(['started', { pid: 1 }]);
    if (starts) for (const { kind, bytes } of output) parts.push([kind, Buffer.from(bytes)]);
    parts.push(['ended', ended({ status })]);
    return parts;
  });

/** The steps of one execution. A delivery is a window of its reports, so that reports repeat, arrive late, or are skipped. */
const step = fc.record({
  which: fc.nat({ max: 2 }),
  what: fc.constantFrom(
    'deliver',
    'deliver',
    'deliver',
    'next',
    'next',
    'cancel',
    'expire',
    'lost',
    'claim',
    'undelivered',
  ),
  from: fc.nat({ max: 10 }),
  length: fc.integer({ min: 1, max: 6 }),
});

/** The expected result of the agent's reports if each is applied once, in order and before the end. */
class Model {
  reported = 0;
  over = false;
  readonly bytes = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };

  deliver(records: readonly RawRecord[]): void {
    for (const { number, kind, payload } of records) {
      if (this.over || number <= this.reported) continue;
      if (number > this.reported + 1) return;
      this.reported = number;
      if (kind === REPORT_KIND.stdout) this.bytes.stdout = Buffer.concat([this.bytes.stdout, payload]);
      if (kind === REPORT_KIND.stderr) this.bytes.stderr = Buffer.concat([this.bytes.stderr, payload]);
      if (kind === REPORT_KIND.ended) this.over = true;
    }
  }
}

export function describeHistories(open: OpenStore): void {
  describe('random histories', () => {
    const bench = useStore(open);
    let machines = 0;

    it('leave a log without gaps, one end, and the exact bytes', async () => {
      const property = fc.asyncProperty(
        fc.tuple(script, script, script),
        fc.array(step, { maxLength: 40 }),
        fc.boolean(),
        async (scripts, steps, direct) => {
          machines += 1;
          await new History(bench(), `dm-${machines}`).run(scripts, steps, direct);
        },
      );
      await fc.assert(property, { numRuns: 100 });
    }, 60_000);
  });
}

type Script = readonly [ReportKind, Buffer | object][];

interface Step {
  which: number;
  what: string;
  from: number;
  length: number;
}

interface Command {
  executionId: string;
  reports: RawRecord[];
  model: Model;
  /** The number of reports sent so far by the steps `next`. */
  sent: number;
}

/** Three executions on their own machine, and their steps. */
class History {
  private readonly bench: Bench;
  private readonly machineId: string;

  constructor(bench: Bench, machineId: string) {
    this.bench = bench;
    this.machineId = machineId;
  }

  async run(scripts: readonly Script[], steps: readonly Step[], direct: boolean): Promise<void> {
    const { bench, machineId } = this;
    await bench.connect(machineId);
    const commands: Command[] = [];
    for (const parts of scripts) {
      const asked = { machineId, expiresAt: T0 + 500, ...(direct ? { dispatchTo: RUNNER } : {}) };
      const { executionId } = await bench.create(asked);
      const reports = parts.map(([kind, payload], index) => record(executionId, index + 1, kind, payload));
      commands.push({ executionId, reports, model: new Model(), sent: 0 });
    }
    for (const [index, step] of steps.entries()) {
      const command = commands[step.which];
      if (command !== undefined) await this.take(command, step, T0 + 20 * (index + 1));
    }
    for (const { executionId, model } of commands) await this.check(executionId, model);
  }

  private async take(command: Command, { what, from, length }: Step, now: number): Promise<void> {
    const { machineId } = this;
    const { store } = this.bench;
    const { executionId } = command;
    const ofConnection = this.bench.ofConnection(now, machineId);
    switch (what) {
      case 'next':
        await this.deliver(command, command.reports.slice(command.sent, command.sent + length), now);
        command.sent += length;
        return;
      case 'deliver':
        return await this.deliver(command, command.reports.slice(from, from + length), now);
      case 'cancel':
        return void (await store.requestCancel({ machineId, executionId, by: 'admin', now }));
      case 'expire':
        return void (await store.expireDue({ now, limit: 10 }));
      case 'lost':
        return void (await store.markLost({ ...ofConnection, executionIds: [executionId], reason: 'test' }));
      case 'claim':
        return void (await store.claimQueued({ ...ofConnection, limit: 1 }));
      default:
        return void (await store.endUndelivered({ ...ofConnection, executionIds: [executionId] }));
    }
  }

  /** Delivers reports to the store and to the model, and repeats the accepted ones to the store. */
  private async deliver(command: Command, records: RawRecord[], now: number): Promise<void> {
    const { bench, machineId } = this;
    const [first] = records;
    if (first === undefined) return;
    const before = await bench.get(command.executionId, machineId);
    const result = await bench.report(records, { machineId, now });
    if (isTerminal(before.status)) {
      expect(result.outcome).toBe('terminal');
    } else if (before.dispatchedTo === undefined) {
      expect(result.outcome).toBe('foreign');
      return;
    } else {
      command.model.deliver(records);
    }
    const taken = records.filter(({ number }) => number <= result.reported);
    const repeated = await bench.report([first, ...taken], { machineId, now });
    expect(repeated.outcome).not.toBe('applied');
    expect(repeated.statusChanged).toBe(false);
  }

  private async check(executionId: string, model: Model): Promise<void> {
    const { bench } = this;
    const execution = await bench.get(executionId, this.machineId);
    const events = await bench.events(executionId);
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index + 1));
    expect(execution.lastSequence).toBe(events.length);
    const times = events.map(({ at }) => at);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    const statuses = events.flatMap((event) => (event.type === 'lifecycle' ? [event.status] : []));
    expect(statuses.at(-1)).toBe(execution.status);
    expect(new Set(statuses).size).toBe(statuses.length);
    const ends = statuses.filter(isTerminal);
    expect(ends).toHaveLength(isTerminal(execution.status) ? 1 : 0);
    if (ends.length === 1) expect(events.at(-1)).toMatchObject({ type: 'lifecycle', status: ends[0] });
    for (const stream of ['stdout', 'stderr'] as const) {
      const chunks = events.flatMap((event) => (event.type === stream ? [event.chunk] : []));
      expect(Buffer.concat(chunks)).toEqual(model.bytes[stream]);
      const read = await bench.store.readStream({ executionId, stream, offset: 0, maxBytes: 10_000 });
      expect(read).toEqual(model.bytes[stream]);
      expect(execution[stream].bytes).toBe(model.bytes[stream].length);
      expect(await bench.store.outputBounds({ executionId, stream })).toEqual({
        start: 0,
        end: model.bytes[stream].length,
      });
    }
  }
}
