/** Contract §3: the event log. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WireEvent } from '../helpers/client.ts';
import { Deployment } from '../helpers/harness.ts';

const CAP = 1_000_000;
let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start({ server: { EXECPLANE_MAX_OUTPUT_BYTES: String(CAP) } });
});
afterAll(() => deployment.dispose());

const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex');
const joined = (events: WireEvent[], type: 'stdout' | 'stderr') =>
  events
    .filter((event) => event.type === type)
    .map(({ chunk }) => chunk)
    .join('');
const decoded = (events: WireEvent[], type: 'stdout' | 'stderr') =>
  Buffer.concat(events.filter((event) => event.type === type).map(({ chunk }) => Buffer.from(chunk ?? '', 'base64')));

describe('sequence', () => {
  test('the sequence starts at 1 and rises by 1; at never goes back', async () => {
    const line = 'i=0; while [ $i -lt 300 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done';
    const { execution_id } = await deployment.machine.sh(line);
    const events = await deployment.machine.events(execution_id, { limit: 17 });
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, n) => n + 1));
    const times = events.map(({ at }) => at);
    expect(times).toEqual(times.toSorted());
  });

  test('the log begins with the first status, ends with the terminal one, and has one lifecycle event for each change', async () => {
    const { execution_id } = await deployment.machine.sh('echo x');
    const log = await deployment.machine.events(execution_id);
    expect(log[0]).toMatchObject({ sequence: 1, type: 'lifecycle', status: 'queued' });
    expect(log.at(-1)).toMatchObject({ type: 'lifecycle', status: 'succeeded' });
    const statuses = log.flatMap(({ status }) => status ?? []);
    expect(statuses).toEqual(['queued', 'running', 'succeeded']);
  });

  test('a command that could not be spawned goes from queued to failed', async () => {
    const { execution_id } = await deployment.machine.run({ command: ['/no/such'] });
    const log = await deployment.machine.events(execution_id);
    expect(log.map(({ status }) => status)).toEqual(['queued', 'failed']);
  });
});

describe('bytes', () => {
  test('the chunks of each stream, in order, are exactly what the command wrote', async () => {
    const line = 'i=0; while [ $i -lt 2000 ]; do echo "out $i ä€😀"; echo "err $i" >&2; i=$((i+1)); done';
    const { execution_id } = await deployment.machine.sh(line);
    const log = await deployment.machine.events(execution_id);
    const numbers = Array.from({ length: 2000 }, (_, n) => n);
    expect(joined(log, 'stdout')).toBe(numbers.map((n) => `out ${n} ä€😀\n`).join(''));
    expect(joined(log, 'stderr')).toBe(numbers.map((n) => `err ${n}\n`).join(''));
  });

  test('a chunk never splits a UTF-8 character that is written a byte at a time', async () => {
    const text = 'aé€😀z'.repeat(3);
    const program = `const b=Buffer.from(${JSON.stringify(text)});const fs=require('fs');(async()=>{for(const x of b){fs.writeSync(1,Buffer.from([x]));await new Promise(r=>setTimeout(r,3))}})()`;
    const { execution_id } = await deployment.machine.run({ command: [process.execPath, '-e', program] });
    const log = await deployment.machine.events(execution_id);
    expect(joined(log, 'stdout')).toBe(text);
    for (const { chunk } of log) expect(chunk ?? '').not.toContain('\uFFFD');
  });

  test('an incomplete character is held back for up to a second, then shown', async () => {
    const { execution_id } = await deployment.machine.create({
      command: ['/bin/sh', '-c', "printf 'ready\\303'; exec sleep 600"],
    });
    await deployment.machine.printed(execution_id, 'ready');
    await deployment.machine.printed(execution_id, '\uFFFD');
    await deployment.machine.cancel(execution_id, { wait_ms: 20_000 });
    expect(await deployment.machine.raw(execution_id)).toEqual(Buffer.from('ready\xC3', 'latin1'));
  });

  test('bytes that are not UTF-8 become U+FFFD in JSON, and the raw routes return them exactly', async () => {
    const line = "printf 'a\\377\\376b\\0c\\200\\n'";
    const { execution_id } = await deployment.machine.sh(line);
    const bytes = Buffer.from([0x61, 0xff, 0xfe, 0x62, 0, 0x63, 0x80, 0x0a]);
    expect((await deployment.machine.output(execution_id)).stdout).toBe('a\uFFFD\uFFFDb\0c\uFFFD\n');
    expect(await deployment.machine.raw(execution_id)).toEqual(bytes);
    expect(decoded(await deployment.machine.events(execution_id, { encoding: 'base64' }), 'stdout')).toEqual(bytes);
    const answer = await deployment.client.get<{ stdout: string }>(deployment.machine.at(execution_id, '/output'), {
      encoding: 'base64',
    });
    expect(Buffer.from(answer.json.stdout, 'base64')).toEqual(bytes);
  });

  test('every byte value is kept, in any order', async () => {
    const seed = Buffer.from(Array.from({ length: 65_536 * 3 }, (_, n) => (n * n * 31 + (n >> 7)) & 255));
    const { execution_id } = await deployment.machine.run({
      command: ['/bin/cat'],
      stdin: seed.toString('base64'),
      stdin_encoding: 'base64',
    });
    expect(sha256(await deployment.machine.raw(execution_id))).toBe(sha256(seed));
    expect(sha256(decoded(await deployment.machine.events(execution_id, { encoding: 'base64' }), 'stdout'))).toBe(
      sha256(seed),
    );
  });

  test('a line of 900 kB without a newline is kept exactly', async () => {
    const { execution_id } = await deployment.machine.sh('head -c 900000 /dev/zero | tr "\\0" x');
    expect(sha256(await deployment.machine.raw(execution_id))).toBe(sha256('x'.repeat(900_000)));
  });
});

describe('the cap', () => {
  test('output above the cap is counted, *_truncated is true, and the command keeps running', async () => {
    const execution = await deployment.machine.sh('head -c 5000000 /dev/zero | tr "\\0" y; echo end >&2');
    expect(execution).toMatchObject({
      status: 'succeeded',
      stdout_bytes: 5_000_000,
      stdout_truncated: true,
      stderr_bytes: 4,
      stderr_truncated: false,
    });
    const output = await deployment.machine.output(execution.execution_id);
    expect(output.stdout).toBe('y'.repeat(CAP));
    expect(output.stderr).toBe('end\n');
  });

  test('the cap never splits a character', async () => {
    const execution = await deployment.machine.run({
      command: ['/bin/sh', '-c', 'printf x; yes "€€€€€€€€" | tr -d "\\n" | head -c 1500000'],
    });
    expect(execution).toMatchObject({ status: 'succeeded', stdout_truncated: true, stdout_bytes: 1_500_001 });
    const bytes = await deployment.machine.raw(execution.execution_id);
    expect(bytes.length).toBe(CAP);
    expect(bytes.toString()).not.toContain('\uFFFD');
  });

  test('a last character that does not fit below the cap is left out', async () => {
    const { execution_id } = await deployment.machine.run({
      command: ['/bin/sh', '-c', 'yes "€€€€€€€€" | tr -d "\\n" | head -c 1500000'],
    });
    const bytes = await deployment.machine.raw(execution_id);
    expect(bytes.length).toBe(CAP - (CAP % 3));
    expect(bytes.toString()).not.toContain('\uFFFD');
  });

  test('output of exactly the cap is not truncated', async () => {
    const execution = await deployment.machine.sh(`head -c ${CAP} /dev/zero`);
    expect(execution).toMatchObject({ stdout_bytes: CAP, stdout_truncated: false });
  });

  test('the counts keep rising while a command prints without end', async () => {
    const { execution_id } = await deployment.machine.create({ command: ['/bin/sh', '-c', 'yes'] });
    let seen = 0;
    while (seen < 3 * CAP) {
      const execution = await deployment.machine.read(execution_id, { wait_ms: 200 });
      expect(execution.stdout_bytes ?? 0).toBeGreaterThanOrEqual(seen);
      seen = execution.stdout_bytes ?? 0;
    }
    const execution = await deployment.machine.cancel(execution_id, { wait_ms: 20_000 });
    expect(execution).toMatchObject({ status: 'cancelled', stdout_truncated: true });
    expect((await deployment.machine.raw(execution_id)).length).toBe(CAP);
  });
});

describe('output', () => {
  test('the output is the concatenation of the log', async () => {
    const { execution_id } = await deployment.machine.sh('for i in 1 2 3; do echo o$i; echo e$i >&2; done');
    const log = await deployment.machine.events(execution_id);
    expect(await deployment.machine.output(execution_id)).toMatchObject({
      stdout: joined(log, 'stdout'),
      stderr: joined(log, 'stderr'),
    });
  });

  test('output is available while the command runs', async () => {
    const { execution_id } = await deployment.machine.create({
      command: ['/bin/sh', '-c', 'echo early; exec sleep 600'],
    });
    await deployment.machine.printed(execution_id, 'early');
    expect((await deployment.machine.read(execution_id)).status).toBe('running');
    await deployment.machine.cancel(execution_id, { wait_ms: 20_000 });
  });
});
