/** Commands on a terminal, in the native spawner. The Node spawner has no terminals. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SpawnerHarness } from './spawner-harness.ts';

const terminal = { width: 80, height: 24 };

describe.runIf(process.platform === 'linux')('a command on a terminal', () => {
  let harness: SpawnerHarness;
  beforeAll(async () => {
    harness = await SpawnerHarness.open('native');
  });
  afterAll(() => harness.close());

  test('may close its streams long before it exits, without a hang-up', async () => {
    const script = 'echo closing; exec <&- >&- 2>&-; sleep 0.3; exit 7';
    const command = await harness.run(['sh', '-c', script], { stdin: 'pipe', terminal });
    expect([command.out, command.end]).toEqual(['closing\r\n', { exitCode: 7, stdoutBytes: 9, stderrBytes: 0 }]);
  });

  test('prints to its terminal after it has closed its streams and opened /dev/tty again', async () => {
    const script = 'exec <&- >&- 2>&-; sleep 0.3; for i in 1 2 3; do seq 1 30000 > /dev/tty; sleep 0.1; done';
    const command = await harness.run(['sh', '-c', script], { stdin: 'pipe', terminal });
    const round = Array.from({ length: 30_000 }, (_, i) => `${i + 1}\r\n`).join('');
    expect(command.end?.exitCode).toBe(0);
    expect(command.out === round.repeat(3)).toBe(true);
  });

  test('erases a whole character of several bytes, as at a local terminal', async () => {
    const command = harness.start(['sh', '-c', 'read line; echo "<$line>"'], { stdin: 'pipe', terminal });
    await command.started.promise;
    harness.spawner.writeStdin(command.handle, Buffer.from('a漢\u007fb\n'), false);
    await command.over.promise;
    expect(command.out).toContain('<ab>');
  });

  test('gets the end-of-file character when stdin ends, and exits by itself', async () => {
    const commands = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const command = harness.start(['cat'], { stdin: 'pipe', terminal });
        await command.started.promise;
        harness.spawner.writeStdin(command.handle, Buffer.from('typed\n'), true);
        await command.over.promise;
        return command;
      }),
    );
    expect(new Set(commands.map((command) => command.out))).toEqual(new Set(['typed\r\ntyped\r\n']));
    expect(commands.map((command) => command.end?.exitCode)).toEqual(commands.map(() => 0));
  });
});
