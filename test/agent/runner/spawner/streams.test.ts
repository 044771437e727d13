import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KINDS, Stage } from './stage.ts';

const MEGABYTE = 1_000_000;

describe.each(KINDS)('the streams of a command, %s', (kind) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open(kind);
  });
  afterAll(() => stage.close());

  test('stdout and stderr can be opened again by path', async () => {
    const act = await stage.run([
      'sh',
      '-c',
      'echo one > /dev/stderr; echo two > /dev/stdout; echo three >> /proc/self/fd/2',
    ]);
    expect([act.out, act.err, act.end?.exitCode]).toEqual(['two\n', 'one\nthree\n', 0]);
  });

  test.skipIf(kind === 'node')('stdin can be opened again by path', async () => {
    const act = stage.start(['cat', '/dev/stdin'], { stdin: 'pipe' });
    stage.spawner.writeStdin(act.handle, Buffer.from('through the door'), true);
    await act.over.promise;
    expect([act.out, act.end?.exitCode]).toEqual(['through the door', 0]);
  });

  test('without stdin the program reads end-of-file at once', async () => {
    const act = await stage.run(['sh', '-c', 'cat; cat /dev/stdin; echo done']);
    expect(act.out).toBe('done\n');
  });

  test('stdin arrives exact and in order, and what was taken is told', async () => {
    const act = stage.start(['cat'], { stdin: 'pipe', keepBytes: 10 * MEGABYTE });
    const sent = Buffer.alloc(3 * MEGABYTE, 'Grüße\0\xff', 'latin1');
    for (let at = 0; at < sent.length; at += 200_000) {
      await act.when(() => at - act.taken <= 50_000);
      stage.spawner.writeStdin(act.handle, sent.subarray(at, at + 200_000), at + 200_000 >= sent.length);
    }
    await act.over.promise;
    expect(Buffer.concat(act.stdout).equals(sent)).toBe(true);
    expect([act.taken, act.stdinClosed, act.end?.exitCode]).toEqual([sent.length, true, 0]);
  });

  test('a program that never reads its stdin, or stops reading, is no error', async () => {
    const deaf = stage.start(['sh', '-c', 'read line; echo "$line"; exit 3'], { stdin: 'pipe' });
    stage.spawner.writeStdin(deaf.handle, Buffer.from(`first\n${'x'.repeat(250_000)}`), true);
    await deaf.over.promise;
    expect([deaf.out, deaf.end?.exitCode]).toEqual(['first\n', 3]);
    expect(deaf.taken).toBeLessThan(250_000);
  });

  test('a closed stdin is told while the program runs on', async () => {
    const act = stage.start(['sh', '-c', 'exec 0<&-; echo closed; exec sleep 60'], { stdin: 'pipe' });
    await act.when(() => act.out === 'closed\n');
    stage.spawner.writeStdin(act.handle, Buffer.from('into the void'), false);
    await act.when(() => act.stdinClosed);
    expect(act.end).toBeUndefined();
  });

  const rounds = kind === 'node' ? 3 : 10;
  test('output right before the exit is never lost', { timeout: 60_000 }, async () => {
    for (let round = 0; round < rounds; round++) {
      const acts = await Promise.all(
        Array.from({ length: 30 }, () => stage.run(['sh', '-c', 'echo out; echo err >&2'])),
      );
      expect(acts.filter((act) => act.out !== 'out\n' || act.err !== 'err\n')).toEqual([]);
    }
  });

  test('a full pipe at the exit is read to its end', async () => {
    const act = await stage.run(['head', '-c', '65536', '/dev/zero']);
    expect([act.out.length, act.end?.stdoutBytes]).toEqual([65_536, 65_536]);
  });

  test('past the cap bytes are counted and not kept', async () => {
    const act = await stage.run(['sh', '-c', 'head -c 100000000 /dev/zero; head -c 10 /dev/zero >&2'], {
      keepBytes: MEGABYTE,
    });
    expect(act.end).toEqual({ exitCode: 0, stdoutBytes: 100 * MEGABYTE, stderrBytes: 10 });
    expect(act.out.length).toBe(MEGABYTE);
    expect(act.counts.length).toBeGreaterThan(0);
    expect(act.counts.every(([stdout]) => stdout <= 100 * MEGABYTE)).toBe(true);
  });

  test('with a cap of nothing everything is only counted', async () => {
    const act = await stage.run(['echo', 'hello'], { keepBytes: 0 });
    expect([act.stdout.length, act.end]).toEqual([0, { exitCode: 0, stdoutBytes: 6, stderrBytes: 0 }]);
  });

  test('pausing holds the writer, and going on loses nothing', async () => {
    const act = stage.start(['sh', '-c', 'seq 1 200000; echo end >&2'], { keepBytes: 10 * MEGABYTE });
    stage.spawner.pause(act.handle);
    await act.started.promise;
    await stage.run(['sleep', '0.3']); // time in which an unpaused program would have ended long ago
    expect([act.end, act.err]).toEqual([undefined, '']);
    stage.spawner.resume(act.handle);
    await act.over.promise;
    expect(act.out).toBe(`${Array.from({ length: 200_000 }, (_, i) => i + 1).join('\n')}\n`);
    expect(act.err).toBe('end\n');
  });

  test('the end of a paused program waits for its output to be taken', async () => {
    const act = stage.start(['echo', 'little'], {});
    stage.spawner.pause(act.handle);
    await act.started.promise;
    await stage.run(['sleep', '0.2']);
    expect([act.out, act.end]).toEqual(['', undefined]);
    stage.spawner.resume(act.handle);
    await act.over.promise;
    expect(act.out).toBe('little\n');
  });

  test('a flood of one does not hold up another', async () => {
    const flood = stage.start(['yes'], { keepBytes: 200 * MEGABYTE });
    await flood.when(() => flood.stdout.length > 0);
    const acts = await Promise.all(Array.from({ length: 10 }, () => stage.run(['echo', 'hi'])));
    expect(acts.every((act) => act.out === 'hi\n')).toBe(true);
    await stage.spawner.killTree(flood.handle);
    await flood.over.promise;
  });
});
