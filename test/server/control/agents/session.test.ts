import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { CLOSE } from '../../../../src/core/protocol.ts';
import { TestPlane } from '../../../helpers/control-plane.ts';
import { HELLO, ScriptedAgent } from '../../../helpers/scripted-agent.ts';

const NO_CLOSE_FRAME = 1006;
const UNKNOWN = `xpa_${'A'.repeat(43)}`;

describe('the upgrade', () => {
  test('answers an unknown or malformed credential with 401, every time (fault 18)', async () => {
    const plane = await TestPlane.start();
    for (const credential of [UNKNOWN, 'nonsense', '']) {
      await expect(ScriptedAgent.open(plane.url, credential)).rejects.toMatchObject({ status: 401 });
    }
  });

  test('answers another path with 404', async () => {
    const plane = await TestPlane.start();
    await expect(ScriptedAgent.open(`${plane.url}/elsewhere`, UNKNOWN)).rejects.toMatchObject({ status: 404 });
  });
});

describe('a hello', () => {
  test('a hello of an unsupported version closes with 4406 (fault 20)', async () => {
    const plane = await TestPlane.start();
    const agent = await ScriptedAgent.open(plane.url, await plane.machine());
    agent.hello({ protocol: { min: 2, max: 3 } });
    expect(await agent.closed).toMatchObject({ code: CLOSE.version });
  });

  test('a hello of a newer agent that still supports our version is answered with ours; unknown fields are ignored', async () => {
    const plane = await TestPlane.start();
    const agent = await ScriptedAgent.open(plane.url, await plane.machine());
    agent.ws.send(JSON.stringify({ ...HELLO, protocol: { min: 1, max: 7 }, colour: 'blue' }));
    expect(await agent.next('welcome')).toMatchObject({ protocol: 1, heartbeat_ms: 15_000 });
  });

  test('that does not arrive closes with 4408', async () => {
    const plane = await TestPlane.start({ config: { heartbeatMs: 100 } });
    const agent = await ScriptedAgent.open(plane.url, await plane.machine());
    expect(await agent.closed).toMatchObject({ code: CLOSE.timeout });
  });

  test.each([
    ['not JSON', '{'],
    ['not a frame', '{"type":"nonsense"}'],
    ['a frame of the server', '{"type":"ack","acks":[]}'],
    ['malformed', '{"type":"hello","protocol":1}'],
    ['deeply nested', `{"type":"hello","held":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    ['something else first', '{"type":"capacity","accepting":true}'],
  ])('that is %s closes with 4400; the server stays healthy (fault 45)', async (_what, text) => {
    const plane = await TestPlane.start();
    const credential = await plane.machine();
    const agent = await ScriptedAgent.open(plane.url, credential);
    agent.ws.send(text);
    expect(await agent.closed).toMatchObject({ code: CLOSE.badFrame });
    await ScriptedAgent.join(plane.url, credential);
  });

  test('that is repeated, or a record before the welcome, closes with 4400', async () => {
    const plane = await TestPlane.start();
    const credential = await plane.machine();
    const twice = await ScriptedAgent.join(plane.url, credential);
    twice.hello();
    expect(await twice.closed).toMatchObject({ code: CLOSE.badFrame });
    const early = await ScriptedAgent.open(plane.url, credential);
    early.report(early.started('ex-1'));
    expect(await early.closed).toMatchObject({ code: CLOSE.badFrame });
  });
});

describe('the WebSocket', () => {
  test('closes with 1009 on a message over the limit', async () => {
    const plane = await TestPlane.start();
    const agent = await ScriptedAgent.open(plane.url, await plane.machine());
    agent.ws.send(Buffer.alloc(17 * 1024 * 1024));
    expect(await agent.closed).toMatchObject({ code: CLOSE.tooLarge });
  });

  test('closes with 4429 on a flood of frames, and is cut on a flood of pings', async () => {
    const plane = await TestPlane.start();
    const credential = await plane.machine();
    const chatty = await ScriptedAgent.join(plane.url, credential);
    for (let sent = 0; sent < 5000; sent += 1) chatty.send({ type: 'capacity', accepting: true });
    expect(await chatty.closed).toMatchObject({ code: CLOSE.tooManyFrames });
    const pinging = await ScriptedAgent.join(plane.url, credential);
    for (let sent = 0; sent < 5000; sent += 1) pinging.ws.ping();
    // The WebSocket layer closes a connection without a close frame if too many pings arrive in one turn.
    expect([CLOSE.tooManyFrames, NO_CLOSE_FRAME]).toContain((await pinging.closed).code);
  });

  test('takes a frame in many fragments as one', async () => {
    const plane = await TestPlane.start();
    const agent = await ScriptedAgent.open(plane.url, await plane.machine());
    const text = JSON.stringify({ ...HELLO, clock_ms: Date.now() });
    for (const character of text) agent.ws.send(character, { fin: false });
    agent.ws.send('', { fin: true });
    await agent.next('welcome');
  });
});

describe('an agent with the credential of a connected one', () => {
  test('is refused with 4409 and a line in the log if it is another instance; the first stays (fault 19)', async () => {
    const lines: string[] = [];
    const logger = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) });
    const plane = await TestPlane.start({ logger });
    const credential = await plane.machine();
    const first = await ScriptedAgent.join(plane.url, credential);
    const clone = await ScriptedAgent.open(plane.url, credential);
    clone.hello({ runner_instance: 'clone' });
    expect(await clone.closed).toMatchObject({ code: CLOSE.duplicate });
    expect(lines.join('')).toContain('second agent refused');
    await plane.create();
    await first.runNext();
  });

  test('replaces the connected one if that is silent', async () => {
    const plane = await TestPlane.start({ config: { heartbeatMs: 1000 } });
    const credential = await plane.machine();
    const dead = await ScriptedAgent.join(plane.url, credential);
    // The agent neither reads nor answers, like a half-open connection.
    dead.ws.pause();
    const refused = await ScriptedAgent.open(plane.url, credential);
    refused.hello({ runner_instance: 'after-reboot' });
    expect(await refused.closed).toMatchObject({ code: CLOSE.duplicate });
    await expect.poll(() => plane.connected('dm-one'), { timeout: 10_000, interval: 10 }).toBe(false);
    await ScriptedAgent.join(plane.url, credential, { runner_instance: 'after-reboot' });
    await dead.cut();
  });

  test('takes over if it is the same instance, whose old link closes with 4411', async () => {
    const plane = await TestPlane.start();
    const credential = await plane.machine();
    const first = await ScriptedAgent.join(plane.url, credential);
    const before = await plane.store.getMachine({ machineId: 'dm-one' });
    const second = await ScriptedAgent.join(plane.url, credential);
    expect(await first.closed).toMatchObject({ code: CLOSE.replaced });
    await plane.create();
    await second.runNext();
    // This is no transition of the machine.
    const after = await plane.store.getMachine({ machineId: 'dm-one' });
    expect(after).toMatchObject({ phase: 'running', revision: before?.revision });
  });
});

describe('the heartbeat', () => {
  test('ends the link after two silent intervals, and the machine is away (fault 7)', async () => {
    const plane = await TestPlane.start({ config: { heartbeatMs: 100 } });
    const agent = await ScriptedAgent.join(plane.url, await plane.machine());
    agent.ws.pause();
    await expect.poll(() => plane.connected('dm-one'), { timeout: 10_000, interval: 10 }).toBe(false);
    await expect
      .poll(async () => (await plane.store.getMachine({ machineId: 'dm-one' }))?.phase, { timeout: 10_000 })
      .toBe('sleeping');
    await agent.cut();
  });

  test('keeps an agent that only answers pings', async () => {
    const plane = await TestPlane.start({ config: { heartbeatMs: 100 } });
    const agent = await ScriptedAgent.join(plane.url, await plane.machine());
    let pings = 0;
    await new Promise<void>((resolve) => {
      agent.ws.on('ping', () => ++pings === 5 && resolve());
    });
    expect(await plane.connected('dm-one')).toBe(true);
  });
});

describe('a credential that is replaced or removed while its agent is connected', () => {
  test('closes the link with 4401, and nothing more is dispatched (fault 43)', async () => {
    const plane = await TestPlane.start();
    const credential = await plane.machine();
    const agent = await ScriptedAgent.join(plane.url, credential);
    await plane.store.replaceCredential({ machineId: 'dm-one', credentialHash: undefined, now: Date.now() });
    await plane.control.credentialChanged('dm-one');
    await expect.poll(() => plane.connected('dm-one')).toBe(false);
    await plane.create();
    expect(await agent.closed).toMatchObject({ code: CLOSE.revoked });
    expect(agent.received.some((frame) => frame.type === 'start')).toBe(false);
    await expect(ScriptedAgent.open(plane.url, credential)).rejects.toMatchObject({ status: 401 });
  });

  test('is noticed at the hello if that happens between upgrade and hello', async () => {
    const plane = await TestPlane.start();
    const agent = await ScriptedAgent.open(plane.url, await plane.machine());
    await plane.store.replaceCredential({ machineId: 'dm-one', credentialHash: undefined, now: Date.now() });
    await plane.control.credentialChanged('dm-one');
    agent.hello();
    expect(await agent.closed).toMatchObject({ code: CLOSE.revoked });
  });

  test('closes the link with 4410 if its machine is removed, after running commands are forgotten', async () => {
    const plane = await TestPlane.start();
    const agent = await ScriptedAgent.join(plane.url, await plane.machine());
    const running = await plane.create();
    await agent.next('start');
    await plane.remove('dm-one');
    expect((await agent.next('forget')).execution_ids).toEqual([running.executionId]);
    expect(await agent.closed).toMatchObject({ code: CLOSE.removed });
    expect(await plane.get(running)).toMatchObject({ status: 'failed', errorCode: 'machine_removed' });
  });
});
