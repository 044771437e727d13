/** `execplane shell` at a real pseudo-terminal: real server, real agent. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli, Deployment } from '../helpers/harness.ts';
import { isAlive, until } from '../helpers/processes.ts';
import { hasPython, PseudoTerminal } from '../helpers/pseudo-terminal.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start();
});
afterAll(() => deployment.dispose());

/** Starts a shell without a profile and waits for its first prompt. */
async function openShell(...more: string[]): Promise<PseudoTerminal> {
  const terminal = new PseudoTerminal(deployment.server, ['shell', 'dm-test', '--shell', '/bin/sh', ...more]);
  terminal.type('PS1="re""ady> "\n');
  await terminal.shows('ready> ');
  return terminal;
}

/** A command line that SIGINT ends, also between two of its commands: a long sleep that starts after the signal would not end. */
const STOPPED_BY_SIGINT = `stop=; trap 'echo cau""ght; stop=1' INT;`;
const UNTIL_STOPPED = 'until [ "$stop" ]; do sleep 0.02; done';

const statusOf = async (terminalId: string) =>
  (await deployment.client.ask<{ status: string }>('GET', `/v1/machines/dm-test/terminals/${terminalId}`)).status;

/** The id in the line with the command to reattach. */
function idIn(shown: string): string {
  const [, id] = /execplane shell dm-test --attach (\S+)/.exec(shown) ?? [];
  if (id === undefined) throw new Error(`no word of how to come back: ${shown}`);
  return id;
}

describe.skipIf(!hasPython)('execplane shell (with python3)', () => {
  test('has the size of this terminal, follows its changes, and exits with the exit code of the shell', async () => {
    await using terminal = await openShell('--cwd', '/tmp');
    terminal.type('pwd; stty size\n');
    await terminal.shows('/tmp\r\n30 100\r\n');
    terminal.resize(120, 40);
    terminal.type('until [ "$(stty size)" = "40 120" ]; do :; done; echo re""sized\n');
    await terminal.shows('resized');
    terminal.type('printf "\\033[31mred"; exit 7\n');
    await terminal.shows('\u001b[31mred');
    expect(await terminal.exited).toEqual({ code: 7, restored: true });
  });

  test('says why it waits and what would help, and gives up with the reason', async () => {
    await cli(['machines', 'create', 'dm-absent'], {
      EXECPLANE_URL: deployment.server.url,
      EXECPLANE_API_KEY: deployment.server.key,
    });
    await using terminal = new PseudoTerminal(deployment.server, ['shell', 'dm-absent', '--wait', '3s']);
    await terminal.shows(
      'waiting: no agent has joined the machine yet. It starts when an agent joins the machine with a join token.',
    );
    await terminal.shows('no shell was started: waiting: no agent has joined the machine yet.');
    expect(await terminal.exited).toMatchObject({ code: 125 });
  });

  test('passes Ctrl-C to the machine, and exits with 128 plus the signal that ended the shell', async () => {
    await using terminal = await openShell();
    terminal.type(`${STOPPED_BY_SIGINT} echo wait""ing; ${UNTIL_STOPPED}\n`);
    await terminal.shows('waiting');
    terminal.type('\u0003');
    await terminal.shows('caught');
    terminal.type('kill -9 $$\n');
    expect(await terminal.exited).toEqual({ code: 137, restored: true });
  });

  test('~d leaves the shell running, --attach returns to it, ~. closes it', async () => {
    await using first = await openShell();
    first.type('kept=value; echo st""ored\n');
    await first.shows('stored');
    first.type('\r~d');
    expect(await first.exited).toEqual({ code: 0, restored: true });
    const id = idIn(first.shown);
    expect(await statusOf(id)).toBe('ready');
    await using second = new PseudoTerminal(deployment.server, ['shell', 'dm-test', '--attach', id]);
    await second.shows('stored');
    second.type('echo again-$kept\n');
    await second.shows('again-value');
    second.type('\r~?');
    await second.shows('sends a tilde');
    second.type('echo ~~; echo a~.b\n');
    await second.shows('a~.b\r\n');
    second.type('\r~.');
    expect(await second.exited).toEqual({ code: 130, restored: true });
    await expect.poll(() => statusOf(id)).toBe('closed');
    await using third = new PseudoTerminal(deployment.server, ['shell', 'dm-test', '--attach', id]);
    await third.shows('is closed');
    expect(await third.exited).toEqual({ code: 125, restored: true });
  });

  test('the shell reconnects by itself after link and server were killed, without a gap or a repeat, and says so', async () => {
    await using terminal = await openShell();
    terminal.type('i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo "<$i>"; sleep 0.02; done; echo do""ne\n');
    await terminal.shows('<20>');
    await deployment.agent.killLink();
    await deployment.server.kill();
    await terminal.shows('The shell keeps running');
    await deployment.server.restart();
    deployment.agent.restart();
    await terminal.shows('no output was lost');
    await terminal.shows('done');
    const numbers = Array.from(terminal.shown.matchAll(/<(\d+)>/g), ([, number]) => Number(number));
    expect(numbers).toEqual(Array.from({ length: 300 }, (_, at) => at + 1));
    terminal.type('exit 4\n');
    expect(await terminal.exited).toEqual({ code: 4, restored: true });
  });

  test('a full-screen program draws its screen again after an outage, which was reported on the last line; ~d leaves its screen', async () => {
    await using terminal = await openShell();
    const program = join(deployment.dir, 'full-screen');
    const draw = 'printf "\\033[H<$(stty size)>"';
    writeFileSync(program, `trap '${draw}' WINCH; printf "\\033[?1049h"; ${draw}; while :; do sleep 0.05; done\n`);
    terminal.type(`sh ${program}\n`);
    await terminal.shows('<30 100>');
    await deployment.server.kill();
    await terminal.shows('\u001b7\u001b[30;1H\u001b[0;7mexecplane: ');
    const before = terminal.shown.length;
    await deployment.server.restart();
    await until('it draws its screen again', () => terminal.shown.slice(before).includes('<30 100>'));
    expect(terminal.shown).not.toContain('no output was lost');
    terminal.type('\r~d');
    expect(await terminal.exited).toEqual({ code: 0, restored: true });
    const [, afterIt = ''] = terminal.shown.split('\u001b[?1049l');
    expect(afterIt).toContain('the shell keeps running. Return with');
  });

  test('gets the exit code of a shell that ended while the server was away', async () => {
    await using terminal = await openShell();
    const goOn = join(deployment.dir, 'go-on');
    terminal.type(`echo "pid $$."; until [ -e ${goOn} ]; do sleep 0.02; done; echo la""st; exit 9\n`);
    await terminal.shows('pid ');
    await terminal.shows('.\r\n');
    const pid = Number(/pid (\d+)\./.exec(terminal.shown)?.[1]);
    await deployment.server.kill();
    await terminal.shows('The shell keeps running');
    writeFileSync(goOn, '');
    await until('the shell has ended', () => !isAlive(pid));
    await deployment.server.restart();
    expect(await terminal.exited).toEqual({ code: 9, restored: true });
    expect(terminal.shown).toContain('last');
  });

  test('shows what was printed while SIGTSTP had stopped it, and passes keys on again after SIGCONT', async () => {
    await using terminal = await openShell();
    const goOn = join(deployment.dir, 'stopped');
    const line = `until [ -e ${goOn} ]; do sleep 0.02; done; echo mean""while; ${UNTIL_STOPPED}`;
    terminal.type(`${STOPPED_BY_SIGINT} ${line}\n`);
    terminal.signal('SIGTSTP');
    writeFileSync(goOn, '');
    terminal.signal('SIGCONT');
    await terminal.shows('meanwhile');
    terminal.type('\u0003');
    await terminal.shows('caught');
    terminal.type('exit 6\n');
    expect(await terminal.exited).toEqual({ code: 6, restored: true });
  });

  test.each([
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGINT', 130],
  ] as const)('%s restores the terminal, and leaves the shell running', async (signal, code) => {
    await using terminal = await openShell();
    terminal.signal(signal);
    expect(await terminal.exited).toEqual({ code, restored: true });
    const id = idIn(terminal.shown);
    expect(await statusOf(id)).toBe('ready');
    await deployment.client.ask('DELETE', `/v1/machines/dm-test/terminals/${id}`);
  });
});

test('a shell is refused if stdin is not a terminal', async () => {
  const env = { EXECPLANE_URL: deployment.server.url, EXECPLANE_API_KEY: deployment.server.key };
  const { code, stderr } = await cli(['shell', 'dm-test'], env);
  expect(code).toBe(2);
  expect(stderr).toContain('A shell needs a terminal: stdin is not one.');
});
