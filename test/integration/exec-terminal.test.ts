/** `execplane exec -t` at a real pseudo-terminal: real server, real agent. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli, Deployment } from '../helpers/harness.ts';
import { hasPython, PseudoTerminal } from '../helpers/pseudo-terminal.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start({ server: { EXECPLANE_MAX_OUTPUT_BYTES: '100000' } });
});
afterAll(() => deployment.dispose());

const exec = (script: string, ...options: string[]) =>
  new PseudoTerminal(deployment.server, ['exec', '-it', ...options, 'dm-test', '--', '/bin/sh', '-c', script]);

const newest = async () => {
  const path = '/v1/machines/dm-test/executions';
  const { items } = await deployment.client.ask<{ items: { status: string; execution_id: string }[] }>('GET', path);
  return items[0];
};

describe.skipIf(!hasPython)('execplane exec -t (with python3)', () => {
  test('the command has the size and kind of this terminal, gets single keys, prints colours, and its exit code is passed on', async () => {
    const script = `stty size; echo "$TERM"; stty raw -echo; echo ready; dd bs=1 count=1 2>/dev/null | od -An -c
      stty sane; printf '\\033[31mred\\033[0m'; exit 7`;
    await using terminal = exec(script);
    await terminal.shows('30 100\r\n');
    await terminal.shows('ready');
    terminal.type('\u0003');
    await terminal.shows('003');
    await terminal.shows('\u001b[31mred');
    expect(await terminal.exited).toEqual({ code: 7, restored: true });
  });

  test('the command gets SIGWINCH when this terminal is resized', async () => {
    await using terminal = exec('trap "stty size; exit 0" WINCH; echo ready; while :; do sleep 0.05; done');
    await terminal.shows('ready');
    terminal.resize(120, 40);
    await terminal.shows('40 120');
    expect(await terminal.exited).toEqual({ code: 0, restored: true });
  });

  test('Ctrl-C sends SIGINT to the command and ends it', async () => {
    await using terminal = exec('echo ready; exec sleep 1000');
    await terminal.shows('ready');
    terminal.type('\u0003');
    expect(await terminal.exited).toEqual({ code: 130, restored: true });
    expect(await newest()).toMatchObject({ status: 'failed', signal: 2 });
  });

  test('~? shows the escapes, ~~ types one tilde, ~. cancels the command', async () => {
    await using terminal = exec('echo ready; exec cat');
    await terminal.shows('ready');
    terminal.type('~?');
    await terminal.shows('cancels the command');
    terminal.type('~~ as typed\n');
    await terminal.shows('~ as typed\r\n~ as typed');
    terminal.type('~.');
    expect(await terminal.exited).toEqual({ code: 130, restored: true });
    expect((await newest())?.status).toBe('cancelled');
  });

  test.each(['SIGTERM', 'SIGHUP'] as const)('%s cancels the command and restores the terminal', async (signal) => {
    await using terminal = exec('echo ready; exec sleep 1000');
    await terminal.shows('ready');
    terminal.signal(signal);
    expect(await terminal.exited).toMatchObject({ restored: true });
    expect((await newest())?.status).toBe('cancelled');
  });

  test('output above the cap of kept output is printed completely', async () => {
    await using terminal = exec('stty -onlcr; seq 1 100000; echo whole');
    await terminal.shows('whole');
    expect(await terminal.exited).toEqual({ code: 0, restored: true });
    expect(terminal.shown).toBe(`${Array.from({ length: 100_000 }, (_, at) => `${at + 1}\n`).join('')}whole\n`);
  });

  test('with --no-stdin the terminal shows output only, and Ctrl-C cancels', async () => {
    await using terminal = exec('test -t 1 && echo on a terminal; exec sleep 1000', '--no-stdin');
    await terminal.shows('on a terminal');
    terminal.type('\u0003');
    expect(await terminal.exited).toEqual({ code: 130, restored: true });
    expect((await newest())?.status).toBe('cancelled');
  });
});

test('-t is refused if stdin is not a terminal, except with --detach', async () => {
  const env = { EXECPLANE_URL: deployment.server.url, EXECPLANE_API_KEY: deployment.server.key };
  const { code, stderr } = await cli(['exec', '-t', 'dm-test', '--', 'true'], env);
  expect(code).toBe(2);
  expect(stderr).toContain('-t needs a terminal: stdin is not one.');
  const detached = await cli(['exec', '-dt', 'dm-test', '--', 'tty'], env);
  expect(detached).toMatchObject({ code: 0, stderr: '' });
  expect(await deployment.machine.ended(detached.stdout.trim())).toMatchObject({ status: 'succeeded' });
});
