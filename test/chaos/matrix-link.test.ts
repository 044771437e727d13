/** Fault matrix, link and server: one test per line, against real processes.Two run at a time, since some wait for a minute. */
import { existsSync, writeFileSync } from 'node:fs';
import { test as base, expect } from 'vitest';
import { processesWith, until } from '../helpers/processes.ts';
import { isData, payloadText } from './frames.ts';
import { withScene } from './scene.ts';

const test = base.concurrent;
const isStart = (frame: Buffer) => isData(frame) && payloadText(frame).includes('"type":"start"');
const isAck = (frame: Buffer) => isData(frame) && payloadText(frame).includes('"type":"ack"');
const LINES = Array.from({ length: 50_000 }, (_, n) => `${n + 1}\n`).join('');

test('1: the start is delivered twice: one process', () =>
  withScene({}, async (scene) => {
    let repeated = 0;
    scene.proxy.rule((frame, way) => {
      if (way !== 'to_agent' || !isStart(frame)) return 'pass';
      repeated += 1;
      return 'repeat';
    });
    const id = await scene.create('echo done');
    expect(await scene.machine.ended(id)).toMatchObject({ status: 'succeeded' });
    expect([repeated, scene.startsOf(id)]).toEqual([1, 1]);
    expect(await scene.stdoutOf(id)).toBe('ready\ndone\n');
  }));

test('2: the same start again, long after its end and over another link: it does not run', () =>
  withScene({}, async (scene) => {
    let recorded: Buffer | undefined;
    scene.proxy.rule((frame, way) => {
      if (way === 'to_agent' && isStart(frame)) recorded ??= Buffer.from(frame);
      return 'pass';
    });
    const id = await scene.create('echo done');
    await scene.machine.ended(id);
    if (recorded === undefined) throw new Error('no start was seen');
    scene.proxy.inject(recorded);
    await scene.machine.run({ command: ['/bin/true'] });
    await scene.agent.killLink();
    scene.agent.restart();
    await scene.deployment.connected(scene.agent);
    await scene.machine.run({ command: ['/bin/true'] });
    scene.proxy.inject(recorded);
    expect(await scene.machine.run({ command: ['/bin/true'] })).toMatchObject({ status: 'succeeded' });
    expect(scene.startsOf(id)).toBe(1);
  }));

test('3: the link is cut after dispatch, before the agent has the start: it is delivered again, one start', () =>
  withScene({}, async (scene) => {
    let cuts = 0;
    scene.proxy.rule((frame, way) => {
      if (way !== 'to_agent' || !isStart(frame) || cuts === 3) return 'pass';
      cuts += 1;
      return cuts === 2 ? 'truncate' : 'cut';
    });
    const id = await scene.create('echo done');
    expect(await scene.machine.ended(id)).toMatchObject({ status: 'succeeded' });
    expect([cuts, scene.startsOf(id)]).toEqual([3, 1]);
  }));

test('4: the link is cut after spawn, before `running` is acknowledged: both reconcile, one start', () =>
  withScene({}, async (scene) => {
    let begun = false;
    let cuts = 0;
    scene.proxy.rule((frame, way) => {
      if (way === 'to_agent' && isStart(frame)) begun = true;
      if (
        !begun ||
        way !== 'to_server' ||
        !isData(frame) ||
        payloadText(frame).includes('"type":"hello"') ||
        cuts === 2
      )
        return 'pass';
      cuts += 1;
      return 'cut';
    });
    const id = await scene.create('sleep 0.5; echo done');
    expect(await scene.machine.ended(id)).toMatchObject({ status: 'succeeded' });
    expect([cuts, scene.startsOf(id)]).toEqual([2, 1]);
    const log = await scene.machine.events(id);
    expect(log.flatMap(({ status }) => status ?? [])).toEqual(['queued', 'running', 'succeeded']);
  }));

test('5: the link is cut after exit, before the end is acknowledged: the end arrives once', () =>
  withScene({}, async (scene) => {
    let cuts = 0;
    scene.proxy.rule((frame, way) => {
      if (way !== 'to_agent' || !isAck(frame) || cuts === 3) return 'pass';
      cuts += 1;
      return 'cut';
    });
    const id = await scene.create('echo done');
    expect(await scene.machine.ended(id)).toMatchObject({ status: 'succeeded' });
    await until('an ack was cut', () => cuts > 0);
    await scene.deployment.connected(scene.agent);
    await scene.machine.run({ command: ['/bin/true'] });
    const log = await scene.machine.events(id);
    expect(log.flatMap(({ status }) => status ?? [])).toEqual(['queued', 'running', 'succeeded']);
    expect(scene.startsOf(id)).toBe(1);
  }));

test('6: the link is cut in the middle of a chunk, again and again: the bytes are exact', () =>
  withScene({}, async (scene) => {
    let frames = 0;
    let cuts = 0;
    scene.proxy.rule((frame, way) => {
      if (way !== 'to_server' || frame.length < 1000 || cuts === 6) return 'pass';
      frames += 1;
      if (frames % 2 !== 0) return 'pass';
      cuts += 1;
      return 'truncate';
    });
    const id = await scene.create('seq 1 50000; sleep 0.2; seq 1 50000; sleep 0.2; seq 1 50000');
    expect(await scene.machine.ended(id)).toMatchObject({ status: 'succeeded' });
    expect(cuts).toBeGreaterThan(0);
    expect((await scene.stdoutOf(id)) === `ready\n${LINES.repeat(3)}`).toBe(true);
    const log = await scene.machine.events(id, { limit: 1000 });
    expect(log.map(({ sequence }) => sequence)).toEqual(log.map((_, n) => n + 1));
  }));

test('7: half-open TCP: both sides notice within two heartbeats, and nothing is lost', { timeout: 120_000 }, () =>
  withScene({}, async (scene) => {
    const id = await scene.started('while [ ! -e "$GO" ]; do sleep 0.05; done; seq 1 50000');
    const before = scene.proxy.accepted;
    scene.proxy.freeze();
    await until(
      'the server notices',
      async () => (await scene.deployment.phase(scene.agent)) === 'sleeping',
      60_000,
      100,
    );
    writeFileSync(scene.file('go'), '');
    await until('the agent notices and dials again', () => scene.proxy.accepted > before, 60_000, 100);
    scene.proxy.cut();
    scene.proxy.heal();
    expect(await scene.machine.ended(id)).toMatchObject({ status: 'succeeded' });
    expect((await scene.stdoutOf(id)) === `ready\n${LINES}`).toBe(true);
  }),
);

test('8: frames are repeated: they are dropped by their number', () =>
  withScene({}, async (scene) => {
    scene.proxy.rule((frame) => (isData(frame) && !payloadText(frame).includes('"type":"hello"') ? 'repeat' : 'pass'));
    const ids = await Promise.all(Array.from({ length: 10 }, () => scene.create('seq 1 50000')));
    for (const id of ids) {
      expect(await scene.machine.ended(id)).toMatchObject({ status: 'succeeded' });
      expect((await scene.stdoutOf(id)) === `ready\n${LINES}`).toBe(true);
      expect(scene.startsOf(id)).toBe(1);
    }
  }));

test('9: the server is killed (-9) in a burst: nothing acknowledged is lost, the agent reconnects', () =>
  withScene({}, async (scene) => {
    const acknowledged: string[] = [];
    const burst = Array.from({ length: 150 }, () =>
      scene.create('echo done').then(
        (id) => acknowledged.push(id),
        () => undefined,
      ),
    );
    await until('some were acknowledged', () => acknowledged.length > 20, 30_000, 1);
    await scene.deployment.server.kill();
    await Promise.all(burst);
    await scene.deployment.server.restart();
    for (const id of acknowledged) {
      expect(await scene.machine.ended(id)).toMatchObject({ status: 'succeeded' });
      expect(scene.startsOf(id)).toBe(1);
    }
  }));

test('11: the server is down while commands run: output and results arrive afterwards', () =>
  withScene({}, async (scene) => {
    const id = await scene.started('while [ ! -e "$GO" ]; do sleep 0.05; done; seq 1 50000; echo err >&2; exit 3');
    await scene.deployment.server.kill();
    writeFileSync(scene.file('go'), '');
    await until('the command ends meanwhile', () => processesWith(`EXECUTION_ID=${id}`).length === 0);
    await scene.deployment.server.restart();
    expect(await scene.machine.ended(id)).toMatchObject({ status: 'failed', exit_code: 3, stderr_bytes: 4 });
    expect((await scene.stdoutOf(id)) === `ready\n${LINES}`).toBe(true);
  }));

test('11: a caller that waited gets the result by asking again; the agent is back within 30 s of the server', () =>
  withScene({}, async (scene) => {
    await scene.deployment.server.kill();
    const accepted = scene.proxy.accepted;
    await until('the agent has tried again and again', () => scene.proxy.accepted >= accepted + 4, 60_000, 50);
    await scene.deployment.server.restart();
    const back = performance.now();
    await scene.deployment.connected(scene.agent);
    expect(performance.now() - back).toBeLessThan(30_000);
  }));

test('29: the deadline passes while the link is down: the agent enforces it by itself', () =>
  withScene({}, async (scene) => {
    const id = await scene.started('exec sleep 600', { timeout_ms: 1000 });
    await scene.deployment.server.kill();
    await until('the agent kills it', () => processesWith(`EXECUTION_ID=${id}`).length === 0);
    await scene.deployment.server.restart();
    expect(await scene.machine.ended(id)).toMatchObject({
      status: 'expired',
      error_code: 'execution_timed_out',
      signal: 9,
    });
  }));

test('25: a cancel while the agent is away: applied when it returns; a queued execution never starts', () =>
  withScene({}, async (scene) => {
    const running = await scene.started('exec sleep 600');
    await scene.agent.killLink();
    await scene.deployment.away(scene.agent);
    const waiting = await scene.create('echo never');
    expect(await scene.machine.cancel(waiting)).toMatchObject({ status: 'cancelled' });
    expect(await scene.machine.cancel(running)).toMatchObject({ status: 'running' });
    scene.agent.restart();
    expect(await scene.machine.ended(running)).toMatchObject({
      status: 'cancelled',
      error_code: 'cancelled',
      signal: 15,
    });
    await scene.machine.run({ command: ['/bin/true'] });
    expect(scene.startsOf(waiting)).toBe(0);
  }));

test('30: the queue deadline passes: expired; a late agent never starts it', () =>
  withScene({}, async (scene) => {
    await scene.agent.killLink();
    await scene.deployment.away(scene.agent);
    const id = await scene.create('echo never', { start_within_ms: 200 });
    expect(await scene.machine.ended(id)).toMatchObject({ status: 'expired' });
    scene.agent.restart();
    await scene.deployment.connected(scene.agent);
    await scene.machine.run({ command: ['/bin/true'] });
    expect([scene.startsOf(id), existsSync(scene.starts)]).toEqual([0, false]);
  }));
