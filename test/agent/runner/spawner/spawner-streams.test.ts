import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KINDS, SpawnerHarness } from './spawner-harness.ts';

const MEGABYTE = 1_000_000;

describe.each(KINDS)('the streams of a command, %s', (kind) => {
  let harness: SpawnerHarness;
  beforeAll(async () => {
    harness = await SpawnerHarness.open(kind);
  });
  afterAll(() => harness.close());

  test('stdout and stderr can be opened again by path', async () => {
    const command = await harness.run([
      'sh',
      '-c',
      'echo one > /dev/stderr; echo two > /dev/stdout; echo three >> /proc/self/fd/2',
    ]);
    expect([command.out, command.err, command.end?.exitCode]).toEqual(['two\n', 'one\nthree\n', 0]);
  });

  test.skipIf(kind === 'node')('stdin can be opened again by path', async () => {
    const command = harness.start(['cat', '/dev/stdin'], { stdin: 'pipe' });
    harness.spawner.writeStdin(command.handle, Buffer.from('through the door'), true);
    await command.over.promise;
    expect([command.out, command.end?.exitCode]).toEqual(['through the door', 0]);
  });

  test('without stdin the program reads end-of-file at once', async () => {
    const command = await harness.run(['sh', '-c', 'cat; cat /dev/stdin; echo done']);
    expect(command.out).toBe('done\n');
  });

  test('stdin arrives exactly and in order, and written bytes are reported', async () => {
    const command = harness.start(['cat'], { stdin: 'pipe', keepBytes: 10 * MEGABYTE });
    const sent = Buffer.alloc(3 * MEGABYTE, 'Grüße\0\xff', 'latin1');
    for (let at = 0; at < sent.length; at += 200_000) {
      await command.when(() => at - command.taken <= 50_000);
      harness.spawner.writeStdin(command.handle, sent.subarray(at, at + 200_000), at + 200_000 >= sent.length);
    }
    await command.over.promise;
    expect(Buffer.concat(command.stdout).equals(sent)).toBe(true);
    expect([command.taken, command.stdinClosed, command.end?.exitCode]).toEqual([sent.length, true, 0]);
  });

  test('a program that never reads its stdin, or stops reading, is not an error', async () => {
    const deaf = harness.start(['sh', '-c', 'read line; echo "$line"; exit 3'], { stdin: 'pipe' });
    harness.spawner.writeStdin(deaf.handle, Buffer.from(`first\n${'x'.repeat(250_000)}`), true);
    await deaf.over.promise;
    expect([deaf.out, deaf.end?.exitCode]).toEqual(['first\n', 3]);
    expect(deaf.taken).toBeLessThan(250_000);
  });

  test('a closed stdin is reported while the program keeps running', async () => {
    const command = harness.start(['sh', '-c', 'exec 0<&-; echo closed; exec sleep 60'], { stdin: 'pipe' });
    await command.when(() => command.out === 'closed\n');
    harness.spawner.writeStdin(command.handle, Buffer.from('into the void'), false);
    await command.when(() => command.stdinClosed);
    expect(command.end).toBeUndefined();
  });

  const rounds = kind === 'node' ? 3 : 10;
  test('output right before the exit is never lost', { timeout: 60_000 }, async () => {
    for (let round = 0; round < rounds; round++) {
      const commands = await Promise.all(
        Array.from({ length: 30 }, () => harness.run(['sh', '-c', 'echo out; echo err >&2'])),
      );
      expect(commands.filter((command) => command.out !== 'out\n' || command.err !== 'err\n')).toEqual([]);
    }
  });

  test('a full pipe at the exit is read to its end', async () => {
    const command = await harness.run(['head', '-c', '65536', '/dev/zero']);
    expect([command.out.length, command.end?.stdoutBytes]).toEqual([65_536, 65_536]);
  });

  test('bytes above the cap are counted and not kept', async () => {
    const command = await harness.run(['sh', '-c', 'head -c 100000000 /dev/zero; head -c 10 /dev/zero >&2'], {
      keepBytes: MEGABYTE,
    });
    expect(command.end).toEqual({ exitCode: 0, stdoutBytes: 100 * MEGABYTE, stderrBytes: 10 });
    expect(command.out.length).toBe(MEGABYTE);
    expect(command.counts.length).toBeGreaterThan(0);
    expect(command.counts.every(([stdout]) => stdout <= 100 * MEGABYTE)).toBe(true);
  });

  test.each([
    [0, undefined],
    [1, '1'],
    [7, '1234567'],
    [10, '1234567890'],
    [11, '2345678901'],
    [38, '9012345678'],
  ])('the last of %i bytes above the cap are reported before the end', async (past, last) => {
    const text = `kept${'1234567890'.repeat(4).slice(0, past)}`;
    const command = await harness.run(['sh', '-c', `printf ${text}; printf ${text} >&2`], {
      keepBytes: 4,
      tailBytes: 10,
    });
    expect([command.out, command.err]).toEqual(['kept', 'kept']);
    expect([command.tails.stdout?.toString(), command.tails.stderr?.toString()]).toEqual([last, last]);
  });

  test('the tail of a flood is its end, exact to the byte', async () => {
    const options = { keepBytes: MEGABYTE, tailBytes: 65_536 };
    const command = await harness.run(['sh', '-c', 'seq 1 3000000; echo end >&2'], options);
    const whole = execFileSync('seq', ['1', '3000000'], { maxBuffer: 64 * MEGABYTE });
    expect(command.tails.stdout?.equals(whole.subarray(-65_536))).toBe(true);
    expect(command.tails.stderr).toBeUndefined();
    expect(command.end?.stdoutBytes).toBe(whole.length);
  });

  test('with a cap of 0 all output is only counted', async () => {
    const command = await harness.run(['echo', 'hello'], { keepBytes: 0 });
    expect([command.stdout.length, command.end]).toEqual([0, { exitCode: 0, stdoutBytes: 6, stderrBytes: 0 }]);
  });

  test('pausing makes the writer wait, and resuming loses nothing', async () => {
    const command = harness.start(['sh', '-c', 'seq 1 200000; echo end >&2'], { keepBytes: 10 * MEGABYTE });
    harness.spawner.pause(command.handle);
    await command.started.promise;
    await harness.run(['sleep', '0.3']); // long enough for an unpaused program to end
    expect([command.end, command.err]).toEqual([undefined, '']);
    harness.spawner.resume(command.handle);
    await command.over.promise;
    expect(command.out).toBe(`${Array.from({ length: 200_000 }, (_, i) => i + 1).join('\n')}\n`);
    expect(command.err).toBe('end\n');
  });

  test('the end of a paused program waits until its output is read', async () => {
    const command = harness.start(['echo', 'little'], {});
    harness.spawner.pause(command.handle);
    await command.started.promise;
    await harness.run(['sleep', '0.2']);
    expect([command.out, command.end]).toEqual(['', undefined]);
    harness.spawner.resume(command.handle);
    await command.over.promise;
    expect(command.out).toBe('little\n');
  });

  test('a flood of one command does not delay another', async () => {
    const flood = harness.start(['yes'], { keepBytes: 200 * MEGABYTE });
    await flood.when(() => flood.stdout.length > 0);
    const commands = await Promise.all(Array.from({ length: 10 }, () => harness.run(['echo', 'hi'])));
    expect(commands.every((command) => command.out === 'hi\n')).toBe(true);
    await harness.spawner.killTree(flood.handle);
    await flood.over.promise;
  });
});
