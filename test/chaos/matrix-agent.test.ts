/** Fault matrix, the agent and its machine: one test per line, against real processes.Two run at a time, since some wait for a minute. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test as base, expect } from 'vitest';
import { AgentUnderTest, Deployment } from '../helpers/harness.ts';
import { killAll, processesWith, until } from '../helpers/processes.ts';
import { withScene } from './scene.ts';

const test = base.concurrent;
const LINES = Array.from({ length: 20_000 }, (_, n) => `${n + 1}\n`).join('');

test('12: the link is killed (-9) while commands run: they keep running and the next link takes them over', () =>
  withScene({}, async (scene) => {
    const id = await scene.started('while [ ! -e "$GO" ]; do sleep 0.05; done; seq 1 20000');
    const runner = scene.agent.runnerPid();
    await scene.agent.killLink();
    writeFileSync(scene.file('go'), '');
    await until('the command ends meanwhile', () => processesWith(`EXECUTION_ID=${id}`).length === 0);
    scene.agent.restart();
    expect(await scene.machine.ended(id)).toMatchObject({ status: 'succeeded' });
    expect((await scene.stdoutOf(id)) === `ready\n${LINES}`).toBe(true);
    expect([scene.startsOf(id), scene.agent.runnerPid()]).toEqual([1, runner]);
  }));

test('12: the link is killed ten times while a command prints', () =>
  withScene({}, async (scene) => {
    const id = await scene.started('i=0; while [ ! -e "$GO" ]; do i=$((i+1)); echo $i; sleep 0.01; done; echo end');
    for (let n = 0; n < 10; n += 1) {
      await scene.agent.killLink();
      scene.agent.restart();
      if (n % 3 === 0) await scene.deployment.connected(scene.agent);
    }
    writeFileSync(scene.file('go'), '');
    expect(await scene.machine.ended(id)).toMatchObject({ status: 'succeeded' });
    const lines = (await scene.stdoutOf(id)).trimEnd().split('\n').slice(1, -1).map(Number);
    expect(lines).toEqual(lines.map((_, n) => n + 1));
    expect(scene.startsOf(id)).toBe(1);
  }));

test('13: the runner dies: never run again, agent_lost, with the output that was read; its commands are killed', () =>
  withScene({}, async (scene) => {
    const id = await scene.started('sleep 600 & setsid sleep 600 & sleep 600');
    process.kill(scene.agent.runnerPid(), 'SIGKILL');
    const execution = await scene.machine.ended(id);
    expect(execution).toMatchObject({ status: 'failed', error_code: 'agent_lost' });
    expect(await scene.stdoutOf(id)).toBe('ready\n');
    await until('its commands are gone', () => processesWith(`EXECUTION_ID=${id}`).length === 0);
    expect(scene.startsOf(id)).toBe(1);
    expect(await scene.machine.run({ command: ['/bin/true'] })).toMatchObject({ status: 'succeeded' });
  }));

test('14: the whole machine dies at once: agent_lost when the next agent connects, with the output in the journal', () =>
  withScene({}, async (scene) => {
    const id = await scene.started('echo more; exec sleep 600');
    await scene.machine.printed(id, 'more');
    killAll([scene.agent.link.pid, ...scene.agent.ownedPids(), ...processesWith(`EXECUTION_ID=${id}`)]);
    await scene.agent.link.exited;
    scene.agent.restart();
    expect(await scene.machine.ended(id)).toMatchObject({ status: 'failed', error_code: 'agent_lost' });
    expect(await scene.stdoutOf(id)).toBe('ready\nmore\n');
    expect(scene.startsOf(id)).toBe(1);
  }));

test('15: the agent does not come back in time: agent_lost; a late command is killed and changes nothing', () =>
  withScene({ server: { EXECPLANE_AGENT_LOST_AFTER_MS: '1500' } }, async (scene) => {
    const running = await scene.started('exec sleep 600');
    const ending = await scene.started('while [ ! -e "$GO" ]; do sleep 0.05; done; echo too late');
    await scene.agent.killLink();
    expect(await scene.machine.ended(running)).toMatchObject({ status: 'failed', error_code: 'agent_lost' });
    const lost = await scene.machine.ended(ending);
    expect(lost).toMatchObject({ status: 'failed', error_code: 'agent_lost' });
    writeFileSync(scene.file('go'), '');
    await until('it ends unseen', () => processesWith(`EXECUTION_ID=${ending}`).length === 0);
    scene.agent.restart();
    await scene.deployment.connected(scene.agent);
    await until('what still ran is killed', () => processesWith(`EXECUTION_ID=${running}`).length === 0);
    await scene.machine.run({ command: ['/bin/true'] });
    expect(await scene.machine.read(ending)).toEqual(lost);
    expect(await scene.stdoutOf(ending)).toBe('ready\n');
  }));

test('18: an agent that is refused keeps retrying: it connects when its credential is valid again', () =>
  withScene({}, async (scene) => {
    const token = await scene.deployment.joinToken({ machine_id: 'dm-scene' });
    const credential = `xpa_${Buffer.alloc(32, 7).toString('base64url')}`;
    await scene.deployment.client.ask('POST', '/agent/v1/enrol', { body: { join_token: token, credential } });
    await scene.deployment.away(scene.agent);
    const accepted = scene.proxy.accepted;
    // The agent retries after 30 to 60 s, and the machine may be slow.
    await until('it tries again', () => scene.proxy.accepted > accepted, 100_000, 100);
    expect(scene.agent.link.running).toBe(true);
    expect(scene.agent.log).toMatch(/refus|401|revoked|credential/i);
  }));

test('19: two agents with one credential: the second is refused and logged; no command runs twice', () =>
  withScene({}, async (scene) => {
    await scene.agent.detach();
    await until('the runner without work has left', () => scene.agent.ownedPids().length === 0);
    const twinDir = scene.file('twin');
    cpSync(scene.agent.dir, twinDir, { recursive: true, filter: (source) => !source.endsWith('.sock') });
    scene.agent.restart();
    await scene.deployment.connected(scene.agent);
    const twin = new AgentUnderTest(twinDir, 'dm-scene', scene.agent.settings);
    scene.deployment.agents.push(twin);
    await until(
      () => `the twin says that it is refused\n${twin.log}`,
      () => /duplicate|another|refus/i.test(twin.log),
    );
    const id = await scene.create('echo done');
    expect(await scene.machine.ended(id)).toMatchObject({ status: 'succeeded' });
    expect(scene.startsOf(id)).toBe(1);
    expect(twin.link.running).toBe(true);
  }));

/** A separate file system of this size (bytes). */
function smallDisk(bytes: number): { dir: string; unmount: () => void } {
  const dir = mkdtempSync(join(tmpdir(), 'execplane-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', dir]);
  const unmount = () => {
    execFileSync('umount', ['-l', dir]);
    rmSync(dir, { recursive: true, force: true });
  };
  return { dir, unmount };
}

/** Whether this process can mount a file system: it must be root, and not in a sandbox that forbids mount(2). */
function mayMount(): boolean {
  const dir = mkdtempSync(join(tmpdir(), 'execplane-disk-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4096', 'tmpfs', dir]).status === 0;
  if (mounted) execFileSync('umount', [dir]);
  rmSync(dir, { recursive: true });
  return mounted;
}

function fill(dir: string): string {
  const file = join(dir, 'filler');
  const { bavail, bsize } = statfsSync(dir);
  try {
    writeFileSync(file, Buffer.alloc(bavail * bsize));
  } catch {
    // The file system is full, as intended.
  }
  return file;
}

base.runIf(mayMount())(
  '22: the disk of the server is full: 503, nothing is acknowledged, and it recovers by itself',
  { concurrent: true },
  async () => {
    const disk = smallDisk(64 * 1024 * 1024);
    try {
      mkdirSync(join(disk.dir, 'data'), { mode: 0o700 });
      const deployment = await Deployment.start({ server: { EXECPLANE_DATA_DIR: join(disk.dir, 'data') } });
      try {
        const running = await deployment.machine.create({
          command: ['/bin/sh', '-c', 'echo ready; sleep 2; seq 1 20000'],
        });
        await deployment.machine.printed(running.execution_id, 'ready');
        const filler = fill(disk.dir);
        const body = { command: ['/bin/true'], stdin: 'x'.repeat(1_000_000) };
        await until('a create is refused', async () => {
          const answer = await deployment.client.request('POST', deployment.machine.path, { body });
          if (answer.status === 200) return false;
          expect([answer.status, answer.json]).toEqual([
            503,
            expect.objectContaining({ error_code: 'DEPENDENCY_UNAVAILABLE', retryable: true }),
          ]);
          expect(answer.headers.get('x-should-retry')).toBe('true');
          return true;
        });
        expect((await deployment.client.get(deployment.machine.at(running.execution_id))).status).toBe(200);
        rmSync(filler);
        await until(
          'creates work again',
          async () => (await deployment.client.request('POST', deployment.machine.path, { body })).status === 200,
        );
        expect(await deployment.machine.ended(running.execution_id)).toMatchObject({ status: 'succeeded' });
        expect((await deployment.machine.raw(running.execution_id)).toString() === `ready\n${LINES}`).toBe(true);
      } finally {
        await deployment.dispose();
      }
    } finally {
      disk.unmount();
    }
  },
);

base.runIf(mayMount())(
  '23: the disk of the agent is full: commands wait or nothing is lost; it stays reachable and recovers by itself',
  { concurrent: true },
  async () => {
    const disk = smallDisk(32 * 1024 * 1024);
    try {
      const dir = join(disk.dir, 'agent');
      const deployment = await Deployment.start({ agent: { EXECPLANE_AGENT_DIR: dir } });
      try {
        const filler = fill(disk.dir);
        const id = (await deployment.machine.create({ command: ['/bin/sh', '-c', 'seq 1 20000'] })).execution_id;
        expect(await deployment.phase()).toBe('running');
        rmSync(filler);
        expect(await deployment.machine.ended(id)).toMatchObject({ status: 'succeeded' });
        expect((await deployment.machine.raw(id)).toString() === LINES).toBe(true);
      } finally {
        await deployment.dispose();
      }
    } finally {
      disk.unmount();
    }
  },
);

test('36: 50 MB of stdin to a child that never reads, or closes early: no crash, the right exit code', () =>
  withScene({ server: { EXECPLANE_MAX_BODY_BYTES: '67108864' } }, async (scene) => {
    const stdin = 'x'.repeat(50_000_000);
    expect(await scene.machine.sh('exit 4', { stdin })).toMatchObject({ status: 'failed', exit_code: 4 });
    const less = stdin.slice(0, 10_000_000);
    expect(await scene.machine.sh('exec <&-; sleep 0.2; exit 5', { stdin: less })).toMatchObject({ exit_code: 5 });
    const all = await scene.machine.sh('wc -c', { stdin: less });
    expect(await scene.stdoutOf(all.execution_id)).toBe('10000000\n');
  }));

test('40: a command that another process kills: signaled 9; the agent is not affected', () =>
  withScene({}, async (scene) => {
    const id = await scene.started('exec sleep 600');
    killAll(processesWith(`EXECUTION_ID=${id}`));
    expect(await scene.machine.ended(id)).toMatchObject({ status: 'failed', error_code: 'signaled', signal: 9 });
    expect(await scene.machine.run({ command: ['/bin/true'] })).toMatchObject({ status: 'succeeded' });
  }));
