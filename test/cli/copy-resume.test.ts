/** Copies that are interrupted and then continued by another process. */
import { randomBytes } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BUSYBOX, installBusybox } from '../helpers/busybox.ts';
import { baseEnv, cli, Deployment, MAIN } from '../helpers/harness.ts';
import { Started, until } from '../helpers/processes.ts';
import { StallingRelay } from '../helpers/stalling-relay.ts';

const bytes = randomBytes(24_000_000);
const STALL_BYTES = 16_000_000;
/** The limit for the bytes of requests and answers, in addition to the file. */
const OVERHEAD_BYTES = 1_000_000;

/** A machine whose commands find only the tools of BusyBox. */
const BUSYBOX_MACHINE = 'dm-busybox';

let deployment: Deployment;
let relay: StallingRelay;
let dir: string;

beforeAll(async () => {
  deployment = await Deployment.start();
  relay = await StallingRelay.to(deployment.server.url);
  dir = mkdtempSync(join(tmpdir(), 'execplane-cp-resume-'));
  writeFileSync(join(dir, 'source'), bytes);
  if (BUSYBOX !== undefined) await deployment.join(BUSYBOX_MACHINE, { PATH: installBusybox(join(dir, 'busybox')) });
}, 60_000);
afterAll(async () => {
  await relay.close();
  await deployment.dispose();
  rmSync(dir, { recursive: true });
}, 60_000);

function startCopy(from: string, to: string): Started {
  const env = baseEnv({ EXECPLANE_URL: relay.url, EXECPLANE_API_KEY: deployment.server.key });
  return new Started(process.execPath, [MAIN, 'cp', from, to], env);
}

/** Files next to `name` that an interrupted copy left. */
function partsOf(name: string): string[] {
  return readdirSync(dir).filter((candidate) => candidate.startsWith(`${name}.execplane-`));
}

/** Starts a copy and ends it by `signal` when a large part has arrived. */
async function interrupt(from: string, to: string, name: string, signal: NodeJS.Signals): Promise<Started> {
  const stalled = relay.stallAfter(STALL_BYTES);
  const copy = startCopy(from, to);
  await Promise.race([stalled, copy.exited.then(() => Promise.reject(new Error(`it ended: ${copy.stderr}`)))]);
  await until('bytes are there', () => partsOf(name).some((part) => statSync(join(dir, part)).size > 1_000_000));
  copy.child.kill(signal);
  await copy.exited;
  return copy;
}

/** Runs the copy to its end. Returns the number of bytes sent over the network. */
async function finish(from: string, to: string, name: string): Promise<number> {
  relay.reset();
  const copy = startCopy(from, to);
  expect((await copy.exited).code, copy.stderr).toBe(0);
  expect(readFileSync(join(dir, name)).equals(bytes)).toBe(true);
  expect(partsOf(name)).toEqual([]);
  return relay.carried;
}

describe.each([
  ['the tools of this system', 'dm-test', false],
  ['BusyBox', BUSYBOX_MACHINE, BUSYBOX === undefined],
] as const)('with %s', (_, machine, skipped) => {
  test.skipIf(skipped)(
    'a copy to the machine that Ctrl-C ended says so, ends its command, and is continued at the byte',
    async () => {
      const [from, to] = [join(dir, 'source'), `${machine}:${join(dir, `to-${machine}`)}`];
      const interrupted = await interrupt(from, to, `to-${machine}`, 'SIGINT');
      expect((await interrupted.exited).code).toBe(130);
      expect(interrupted.stderr).toMatch(/^execplane: interrupted after [\d.]+ MiB\. The same command continues/);
      await until('no command is left', async () => {
        const { items } = await deployment.client.ask<{ items: unknown[] }>(
          'GET',
          `/v1/machines/${machine}/executions?status=running`,
        );
        return items.length === 0;
      });
      const [part = ''] = partsOf(`to-${machine}`);
      const there = statSync(join(dir, part)).size;
      expect(await finish(from, to, `to-${machine}`)).toBeLessThan(bytes.length - there + OVERHEAD_BYTES);
    },
    60_000,
  );

  test.skipIf(skipped)(
    'a copy to the machine that was killed is continued too: the command that still waits for its bytes is ended',
    async () => {
      const [from, to] = [join(dir, 'source'), `${machine}:${join(dir, `killed-${machine}`)}`];
      await interrupt(from, to, `killed-${machine}`, 'SIGKILL');
      expect(await finish(from, to, `killed-${machine}`)).toBeLessThan(bytes.length);
    },
    60_000,
  );

  test.skipIf(skipped).each(['SIGINT', 'SIGKILL'] as const)(
    'a copy from the machine that %s ended is continued',
    async (signal) => {
      const name = `from-${machine}-${signal}`;
      const [from, to] = [`${machine}:${join(dir, 'source')}`, join(dir, name)];
      await interrupt(from, to, name, signal);
      const there = statSync(join(dir, partsOf(name)[0] ?? '')).size;
      expect(await finish(from, to, name)).toBeLessThan(bytes.length - there + OVERHEAD_BYTES);
    },
    60_000,
  );

  test.skipIf(skipped)(
    'a folder can be copied there and back',
    async () => {
      const [there, back] = [`there-${machine}`, `back-${machine}`];
      mkdirSync(join(dir, 'folder/below'), { recursive: true });
      writeFileSync(join(dir, 'folder/below/a b'), 'deep');
      const settings = { EXECPLANE_URL: deployment.server.url, EXECPLANE_API_KEY: deployment.server.key };
      const copy = (from: string, to: string) => cli(['cp', '-r', from, to], settings);
      expect(await copy(join(dir, 'folder'), `${machine}:${join(dir, there)}`)).toMatchObject({ code: 0 });
      expect(await copy(`${machine}:${join(dir, there)}`, join(dir, back))).toMatchObject({ code: 0 });
      expect(readFileSync(join(dir, back, 'below/a b'), 'utf8')).toBe('deep');
    },
    60_000,
  );
});

test.each([
  ['to', (name: string) => [join(dir, 'source'), `dm-test:${join(dir, name)}`]],
  ['from', (name: string) => [`dm-test:${join(dir, 'source')}`, join(dir, name)]],
] as const)(
  'a copy %s the machine goes on by itself when server and link are killed together',
  async (direction, ends) => {
    const [from = '', to = ''] = ends(`over-kills-${direction}`);
    const stalled = relay.stallAfter(STALL_BYTES);
    const copy = startCopy(from, to);
    await Promise.race([stalled, copy.exited.then(() => Promise.reject(new Error(`it ended: ${copy.stderr}`)))]);
    await Promise.all([deployment.server.kill(), deployment.agent.killLink()]);
    relay.resume();
    deployment.agent.restart();
    await deployment.server.restart();
    expect((await copy.exited).code, copy.stderr).toBe(0);
    expect(readFileSync(join(dir, `over-kills-${direction}`)).equals(bytes)).toBe(true);
    expect(partsOf(`over-kills-${direction}`)).toEqual([]);
  },
  120_000,
);

test('a source that has changed is copied from its beginning', async () => {
  const changing = join(dir, 'changing');
  writeFileSync(changing, randomBytes(bytes.length));
  const to = `dm-test:${join(dir, 'changed')}`;
  await interrupt(changing, to, 'changed', 'SIGINT');
  const [left = ''] = partsOf('changed');
  writeFileSync(changing, bytes);
  const copy = startCopy(changing, to);
  expect((await copy.exited).code, copy.stderr).toBe(0);
  expect(readFileSync(join(dir, 'changed')).equals(bytes)).toBe(true);
  expect(partsOf('changed')).toEqual([left]);
}, 60_000);

test('a symbolic link in the place of an interrupted copy is not followed', async () => {
  const [from, to] = [join(dir, 'source'), `dm-test:${join(dir, 'linked')}`];
  await interrupt(from, to, 'linked', 'SIGINT');
  const [left = ''] = partsOf('linked');
  const victim = join(dir, 'victim');
  rmSync(join(dir, left));
  writeFileSync(victim, 'untouched');
  symlinkSync(victim, join(dir, left));
  const copy = startCopy(from, to);
  expect((await copy.exited).code, copy.stderr).toBe(0);
  expect(readFileSync(victim, 'utf8')).toBe('untouched');
  expect(readFileSync(join(dir, 'linked')).equals(bytes)).toBe(true);
}, 60_000);
