/** Contract: terminals, as routes and as the stream that the SDKs speak; executions on a terminal. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Deployment } from '../helpers/harness.ts';
import { TerminalStream } from '../helpers/terminal-stream.ts';

interface Terminal {
  terminal_id: string;
  status: string;
  width: number;
  height: number;
  stream_url?: string;
  error_code?: string;
}

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start();
});
afterAll(() => deployment.dispose());

const base = () => `/v1/machines/${deployment.agent.machineId}/terminals`;
const get = (id: string) => deployment.client.ask<Terminal>('GET', `${base()}/${id}`);

async function openTerminal(more: object = {}): Promise<Terminal> {
  const body = { width: 80, height: 24, shell: '/bin/sh', env: { PS1: '> ' }, ...more };
  let terminal = await deployment.client.ask<Terminal>('POST', base(), { body });
  while (terminal.status === 'wake_in_progress') terminal = await get(terminal.terminal_id);
  return terminal;
}

const attach = (id: string, query = '', key: string | undefined = deployment.server.key) =>
  TerminalStream.open(`${deployment.server.url}${base()}/${id}/stream${query}`, key);

describe('an execution on a terminal', () => {
  test('has a terminal of the requested size for stdin, stdout and stderr, and gets SIGWINCH when it is resized', async () => {
    const script =
      'stty size; test -t 0 && test -t 1 && test -t 2 && echo all; trap "stty size; exit 3" WINCH; echo ready; while :; do sleep 0.05; done';
    const { execution_id } = await deployment.machine.create({
      command: ['/bin/sh', '-c', script],
      tty: { width: 100, height: 30 },
    });
    await deployment.machine.printed(execution_id, 'ready');
    await deployment.client.ask('POST', deployment.machine.at(execution_id, '/resize'), {
      body: { width: 120, height: 40 },
    });
    expect(await deployment.machine.ended(execution_id)).toMatchObject({ status: 'failed', exit_code: 3 });
    expect((await deployment.machine.output(execution_id)).stdout).toBe('30 100\r\nall\r\nready\r\n40 120\r\n');
  });

  test('accepts input and the end-of-file character', async () => {
    const { execution_id } = await deployment.machine.create({ command: ['/bin/cat'], tty: { width: 80, height: 24 } });
    const query = { offset: 0, close: true };
    while ((await deployment.machine.read(execution_id)).status !== 'running');
    await deployment.client.ask('POST', deployment.machine.at(execution_id, '/stdin'), {
      body: Buffer.from('hello\n'),
      query,
      headers: { 'content-type': 'application/octet-stream' },
    });
    expect(await deployment.machine.ended(execution_id)).toMatchObject({ status: 'succeeded' });
    expect((await deployment.machine.output(execution_id)).stdout).toBe('hello\r\nhello\r\n');
  });

  test('cannot be resized if it has no terminal', async () => {
    const { execution_id } = await deployment.machine.create({ command: ['/bin/true'] });
    const refused = await deployment.client.request('POST', deployment.machine.at(execution_id, '/resize'), {
      body: { width: 1, height: 1 },
    });
    expect(refused.status).toBe(409);
  });
});

describe('a terminal', () => {
  test('runs a login shell for several clients, and ends with all its output, `closed` and 1000', async () => {
    const { terminal_id } = await openTerminal();
    const one = await attach(terminal_id);
    one.type('echo $0 $TERM $TERMINAL_ID; tty; stty size\n');
    await one.printed('24 80');
    expect(one.output.toString()).toContain(`-sh xterm-256color ${terminal_id}`);
    const two = await attach(terminal_id);
    await two.printed('24 80');
    two.resize(132, 50);
    two.type('stty size\n');
    await one.printed('50 132');
    await two.printed('50 132');
    one.type('exit 7\n');
    for (const stream of [one, two]) {
      expect(await stream.end()).toEqual({ code: 1000, reason: 'exit 7' });
      expect(stream.messages.at(-1)).toEqual({ type: 'closed' });
    }
    expect(two.output.equals(one.output)).toBe(true);
    expect(await get(terminal_id)).toMatchObject({ status: 'closed' });
    await expect(attach(terminal_id)).rejects.toMatchObject({ status: 409 });
  });

  test('a terminal survives its clients, the link and the server: no output is lost or repeated', async () => {
    const { terminal_id } = await openTerminal();
    const first = await attach(terminal_id, '?frames=binary');
    first.type('i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo line $i; sleep 0.02; done; echo do"ne"\n');
    await first.printed('line 20');
    first.socket.terminate();
    const got = first.output.length;
    await deployment.agent.killLink();
    await deployment.server.kill();
    await deployment.server.restart();
    deployment.agent.restart();
    let last: TerminalStream | undefined;
    while (last === undefined) last = await attach(terminal_id, `?frames=binary&offset=${got}`).catch(() => undefined);
    await last.printed('done');
    const lines =
      Buffer.concat([first.output, last.output])
        .toString()
        .match(/line \d+/g) ?? [];
    expect(lines).toEqual(Array.from({ length: 400 }, (_, i) => `line ${i + 1}`));
    last.type('exit\n');
    expect((await last.end()).code).toBe(1000);
  });

  test('keeps a scrollback of 1 MiB without clients', async () => {
    const { terminal_id } = await openTerminal();
    const writer = await attach(terminal_id, '?replay=none');
    writer.type('stty -echo; seq 1 600000; echo do"ne"; exec cat\n');
    await writer.printed('done');
    writer.socket.terminate();
    const reader = await attach(terminal_id);
    await reader.printed('done');
    expect(reader.output.length).toBeGreaterThan(1_000_000);
    expect(reader.output.length).toBeLessThan(2_000_000);
    expect(writer.output.toString().replaceAll('\r', '')).toContain(
      reader.output.toString().replaceAll('\r', '').slice(0, 1000),
    );
    await deployment.client.ask('DELETE', `${base()}/${terminal_id}`);
    expect((await reader.end()).code).toBe(1000);
  });

  test('a terminal sends everything to other clients while one client reads nothing', async () => {
    const { terminal_id } = await openTerminal();
    const stuck = await attach(terminal_id, '?frames=binary');
    const reader = await attach(terminal_id, '?frames=binary&replay=none');
    stuck.socket.pause();
    reader.type('stty -echo; seq 1 2000000; echo do"ne"\n');
    await reader.until('the last line', () => reader.output.subarray(-20).includes('done'));
    const printed = reader.output.toString();
    const numbers = Array.from({ length: 2_000_000 }, (_, i) => `${i + 1}\r\n`).join('');
    expect(printed.includes(numbers), `it begins with ${JSON.stringify(printed.slice(0, 200))}`).toBe(true);
    expect(stuck.output.length).toBeLessThan(reader.output.length);
    stuck.socket.terminate();
    await deployment.client.ask('DELETE', `${base()}/${terminal_id}`);
  });

  test('Ctrl-C ends a flood of output soon for a client that takes none of it: little is read ahead', async () => {
    const { terminal_id } = await openTerminal();
    const stream = await attach(terminal_id, '?frames=binary&acks=true');
    // One program: a Ctrl-C between two of them would have no receiver.
    stream.type('trap "echo stop""ped; exit 6" INT; yes "$(seq 1 1000)"\n');
    await stream.until('the window is full', () => stream.output.length >= 256 * 1024);
    stream.type('\u0003');
    stream.socket.on('message', () => stream.acknowledge(stream.output.length));
    stream.acknowledge(stream.output.length);
    expect(await stream.end()).toEqual({ code: 1000, reason: 'exit 6' });
    expect(stream.output.toString()).toContain('stopped');
    expect(stream.output.length).toBeLessThan(4 * 1024 * 1024);
  });

  test('answers a bad message with an error, and closes after 20 in a row', async () => {
    const { terminal_id } = await openTerminal();
    const stream = await attach(terminal_id);
    for (let i = 0; i < 20; i++) stream.socket.send('{"type":"input","data":"*"}');
    expect((await stream.end()).code).toBe(1008);
    expect(stream.messages).toContainEqual(expect.objectContaining({ type: 'error', error_code: 'INVALID_MESSAGE' }));
    await deployment.client.ask('DELETE', `${base()}/${terminal_id}`);
  });

  test('has tickets, each of which opens its stream once, and no other stream', async () => {
    const { terminal_id } = await openTerminal();
    const { stream_url } = await deployment.client.ask<{ stream_url: string }>(
      'POST',
      `${base()}/${terminal_id}/tickets`,
    );
    const stream = await TerminalStream.open(stream_url, undefined);
    stream.type('echo wel"come"\n');
    await stream.printed('welcome');
    await expect(TerminalStream.open(stream_url, undefined)).rejects.toMatchObject({ status: 401 });
    expect(deployment.server.log).not.toContain(new URL(stream_url).searchParams.get('ticket'));
    stream.socket.close();
    await deployment.client.ask('DELETE', `${base()}/${terminal_id}`);
  });

  test('tells a client that reconnects of the end that it missed, and at which offset output begins', async () => {
    const { terminal_id } = await openTerminal();
    const first = await attach(terminal_id, '?frames=binary&offsets=true');
    first.type('echo on""ce\n');
    await first.printed('once');
    expect(first.messages).toEqual([{ type: 'offset', offset: 0, acks: true }]);
    const offset = first.output.indexOf('once');
    first.type('exit 5\n');
    expect(await first.end()).toEqual({ code: 1000, reason: 'exit 5' });
    const tickets = `${base()}/${terminal_id}/tickets`;
    expect((await deployment.client.request('POST', tickets)).status).toBe(409);
    const query = { resume: true };
    const { stream_url } = await deployment.client.ask<{ stream_url: string }>('POST', tickets, { query });
    const options = `&frames=binary&offsets=true&offset=${offset}`;
    const again = await TerminalStream.open(`${stream_url}${options}`, undefined);
    expect(await again.end()).toEqual({ code: 1000, reason: 'exit 5' });
    expect(again.messages[0]).toEqual({ type: 'offset', offset, acks: true });
    expect(again.output.equals(first.output.subarray(offset))).toBe(true);
  });

  test('an offset or a writer that is malformed, or an offset past the output, is refused', async () => {
    const { terminal_id } = await openTerminal();
    const wrong = ['offset=', 'offset=0x0', 'offset=1e0', 'offset=-1', 'offset=9999999'];
    for (const query of [...wrong, 'writer=short', 'writer=abcdefghijklmnop&input_offset=0x1'])
      await expect(attach(terminal_id, `?${query}`), query).rejects.toMatchObject({ status: 422 });
    await deployment.client.ask('DELETE', `${base()}/${terminal_id}`);
  });

  test('is not an execution, and is listed among terminals', async () => {
    const { terminal_id } = await openTerminal();
    const { items } = await deployment.client.ask<{ items: Terminal[] }>('GET', base());
    expect(items[0]?.terminal_id).toBe(terminal_id);
    const hidden = await deployment.client.request('GET', deployment.machine.at(terminal_id));
    expect(hidden.status).toBe(404);
    expect(await deployment.client.ask('DELETE', `${base()}/${terminal_id}`)).toMatchObject({ terminal_id });
  });
});
