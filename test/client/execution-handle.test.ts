/** Commands through the client: a real server, a real agent. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Execplane, type MachineClient, RefusedError, StdinClosedError } from '../../src/client/main.ts';
import { Deployment } from '../helpers/harness.ts';

let deployment: Deployment;
let machine: MachineClient;

beforeAll(async () => {
  deployment = await Deployment.start();
  machine = new Execplane({ url: deployment.server.url, apiKey: deployment.server.key }).machine('dm-test');
}, 60_000);
afterAll(() => deployment.dispose(), 60_000);

async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(stream));
}

describe('run', () => {
  test('returns output and exit code, and sets environment, directory and stdin', async () => {
    const result = await machine.run(['sh', '-c', 'cat; echo "$A $PWD"; echo err >&2; exit 3'], {
      env: { A: '1' },
      cwd: '/usr',
      stdin: 'in\n',
    });
    expect(result).toEqual({
      executionId: expect.stringMatching(/^ex/),
      machineId: 'dm-test',
      status: 'failed',
      exitCode: 3,
      errorCode: 'nonzero_exit',
      errorMessage: expect.any(String),
      stdout: 'in\n1 /usr\n',
      stderr: 'err\n',
      stdoutTruncated: false,
      stderrTruncated: false,
    });
  });

  test('accepts binary stdin', async () => {
    const { stdout } = await machine.run(['od', '-An', '-tx1'], { stdin: new Uint8Array([0, 255, 10]) });
    expect(stdout.trim()).toBe('00 ff 0a');
  });

  test('returns a signal and a timeout as results', async () => {
    expect(await machine.run(['sh', '-c', 'kill -9 $$'])).toMatchObject({ status: 'failed', signal: 9 });
    expect(await machine.run(['sleep', '60'], { timeoutMs: 50 })).toMatchObject({ signal: 9 });
  });

  test('cancels the command when it is aborted', async () => {
    const abort = new AbortController();
    const run = machine.run(['sh', '-c', 'echo up; exec sleep 300'], { signal: abort.signal });
    const list = async () => (await machine.executions({ status: 'running' })).items;
    let [running] = await list();
    while (running === undefined) [running] = await list();
    abort.abort(new Error('enough'));
    await expect(run).rejects.toThrow('enough');
    const ended = await machine.execution(running.execution_id).waitForEnd();
    expect(ended.status).toBe('cancelled');
  });

  test('throws a refusal', async () => {
    await expect(machine.run([''])).rejects.toBeInstanceOf(RefusedError);
  });
});

describe('start', () => {
  test('has stdin, stdout and stderr as streams, byte for byte, in both directions at once', async () => {
    const bytes = randomBytes(3_000_000);
    const handle = await machine.start(['sh', '-c', 'tee /dev/stderr']);
    const writer = handle.stdin.getWriter();
    const written = writer.write(bytes).then(() => writer.close());
    const [stdout, stderr] = await Promise.all([bytesOf(handle.stdout), bytesOf(handle.stderr), written]);
    expect(stdout.equals(bytes)).toBe(true);
    expect(stderr.equals(bytes)).toBe(true);
    expect(await handle.result).toMatchObject({ status: 'succeeded', exitCode: 0 });
  });

  test('reads output of any size exactly, even if the server is killed meanwhile', async () => {
    const source = 'i=0; while [ $i -lt 4000 ]; do printf "%09d\\n" $i; i=$((i+1)); done';
    const argv = ['sh', '-c', `for part in 1 2 3 4 5 6 7 8; do head -c 5000000 /dev/zero; done; ${source}`];
    const handle = await machine.start(argv, { stdin: 'none', output: 'stream' });
    let size = 0;
    let tail = Buffer.alloc(0);
    let killed = false;
    for await (const bytes of handle.stdout) {
      size += bytes.length;
      tail = Buffer.concat([tail, bytes]).subarray(-40_000);
      if (killed || size < 10_000_000) continue;
      killed = true;
      await deployment.server.kill();
      await deployment.server.restart();
    }
    expect(size).toBe(40_040_000);
    expect(tail.toString()).toBe(Array.from({ length: 4000 }, (_, at) => `${String(at).padStart(9, '0')}\n`).join(''));
    expect(await handle.result).toMatchObject({ status: 'succeeded' });
  }, 120_000);

  test('iterates over all events, from the first to the last', async () => {
    const handle = await machine.start(['echo', 'hello'], { stdin: 'none' });
    const events = await Array.fromAsync(handle);
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, at) => at + 1));
    const chunks = events.flatMap(({ chunk }) => (chunk === undefined ? [] : [chunk]));
    expect(Buffer.concat(chunks).toString()).toBe('hello\n');
    expect(events.at(-1)).toMatchObject({ type: 'lifecycle', status: 'succeeded' });
  });

  test('can send a signal and cancel', async () => {
    const trap = await machine.start(['sh', '-c', 'trap "exit 7" USR1; echo ready; while :; do sleep 0.1; done']);
    await trap.stdout.getReader().read();
    await trap.signal('SIGUSR1');
    expect(await trap.result).toMatchObject({ exitCode: 7 });
    const sleeper = await machine.start(['sleep', '300']);
    await sleeper.cancel();
    expect(await sleeper.result).toMatchObject({ status: 'cancelled' });
  });

  test('throws its own error for a write to a command that has ended', async () => {
    const handle = await machine.start(['true']);
    await handle.result;
    await expect(handle.stdin.getWriter().write(new Uint8Array(1))).rejects.toBeInstanceOf(StdinClosedError);
  });

  test('continues the streams after the server was killed and restarted: no byte is lost or repeated', async () => {
    const handle = await machine.start(['sh', '-c', 'echo before; read line; echo "after $line"']);
    const reader = handle.stdout.getReader();
    const first = await reader.read();
    expect(Buffer.from(first.value ?? []).toString()).toBe('before\n');
    await deployment.server.kill();
    const writer = handle.stdin.getWriter();
    const written = writer.write(Buffer.from('the restart\n'));
    await deployment.server.restart();
    await deployment.connected();
    await written;
    let text = '';
    for (let next = await reader.read(); !next.done; next = await reader.read()) text += Buffer.from(next.value);
    expect(text).toBe('after the restart\n');
    expect(await handle.result).toMatchObject({ exitCode: 0 });
  }, 60_000);
});
