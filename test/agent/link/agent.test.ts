/** The link with a scripted server and a scripted runner: enrolment, refusals, detaching, stopping. */
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type AgentConfig, readAgentConfig } from '../../../src/agent/config.ts';
import { Agent } from '../../../src/agent/link/agent.ts';
import { readCredential, tokenDigest, writeCredential } from '../../../src/agent/link/enrolment/credential.ts';
import { Liveness } from '../../../src/agent/link/liveness.ts';
import { claimPidFile, findLink } from '../../../src/agent/processes/link-pid-file.ts';
import { stopAgent } from '../../../src/agent/processes/stop.ts';
import { CLOSE } from '../../../src/core/protocol.ts';
import { makeDirectory, removeDirectory } from '../../helpers/directories.ts';
import { INSTANCE, ScriptedRunner } from './scripted-runner.ts';
import { ScriptedServer } from './scripted-server.ts';

const CREDENTIAL = `xpa_${'a'.repeat(43)}`;
/** A pid above the kernel's maximum: no process has it. */
const GONE_PID = 2 ** 22 + 1;

let dir: string;
let server: ScriptedServer;
let runner: ScriptedRunner;
let agent: Agent;
let running: Promise<void>;
let log: string[];
let connectedAs: string[];

beforeEach(async () => {
  dir = makeDirectory('agent');
  server = await ScriptedServer.listen();
  runner = await ScriptedRunner.listen(dir);
  running = Promise.resolve();
  log = [];
  connectedAs = [];
});

afterEach(async () => {
  agent?.detach();
  await running.catch(() => {});
  await runner.close();
  await server.close();
  await removeDirectory(dir);
});

function start(changes: Partial<AgentConfig> = {}): void {
  const config = { ...readAgentConfig({ url: server.url.href, agentDir: dir }, {}), ...changes };
  const logger = pino({}, { write: (line) => log.push(line) });
  agent = new Agent(config, logger, new Liveness(() => 0), (machineId) => connectedAs.push(machineId));
  running = agent.run();
  running.catch(() => {});
}

function enrolledAs(machineId: string, token = 'xpj_used'): void {
  writeCredential(dir, { machineId, credential: CREDENTIAL, enrolledWith: tokenDigest(token) });
}

async function connect() {
  const link = await server.nextLink();
  await runner.nextOf('prepare');
  runner.sayState();
  const hello = await link.welcome();
  await runner.nextOf('welcome');
  return { link, hello };
}

describe('the directory', () => {
  test('must not be readable by others', async () => {
    chmodSync(dir, 0o750);
    start();
    await expect(running).rejects.toThrow(`chmod 0700 ${dir}`);
    chmodSync(dir, 0o700);
  });

  test('is refused if another agent uses it, and no connection is made', async () => {
    enrolledAs('dm-1');
    runner.answer = { type: 'attach_refused', reason: 'another link is attached' };
    start();
    await expect(running).rejects.toThrow('another link is attached');
    expect(server.authorizations).toEqual([]);
  });
});

describe('enrolling', () => {
  test('the credential is on disk before the request is sent, and a lost answer repeats the same request', async () => {
    server.enrolAnswers.push('cut', { status: 503, body: {} }, { status: 200, body: { machine_id: 'dm-new' } });
    start({ joinToken: 'xpj_1', machineId: 'dm-new' });
    const { hello } = await connect();
    expect(hello.runner_instance).toBe(INSTANCE);
    const [first, second, third] = server.enrolments;
    expect(first).toEqual({
      join_token: 'xpj_1',
      machine_id: 'dm-new',
      credential: expect.stringMatching(/^xpa_[\w-]{43}$/),
    });
    expect([second, third]).toEqual([first, first]);
    expect(server.authorizations).toEqual([`Bearer ${first?.['credential']}`]);
    expect(readCredential(dir)).toMatchObject({ machineId: 'dm-new', credential: first?.['credential'] });
    expect(statSync(join(dir, 'credential.json')).mode & 0o777).toBe(0o600);
    expect(existsSync(join(dir, 'enrolment.json'))).toBe(false);
  });

  test('an agent that died after its request repeats the same request', async () => {
    const credential = `xpa_${'b'.repeat(43)}`;
    const left = { credential, enrolled_with: tokenDigest('xpj_1') };
    writeFileSync(join(dir, 'enrolment.json'), JSON.stringify(left), { mode: 0o600 });
    server.enrolAnswers.push({ status: 200, body: { machine_id: 'dm-new' } });
    start({ joinToken: 'xpj_1' });
    await connect();
    expect(server.enrolments[0]?.['credential']).toBe(credential);
  });

  test('after a refused token the agent stays, and the log says what to do', async () => {
    server.enrolAnswers.push({ status: 401, body: { message: 'The join token is not valid.' } });
    start({ joinToken: 'xpj_bad' });
    await expect.poll(() => log.join('')).toMatch(/The join token is not valid.*execplane tokens create.*slowly/);
    agent.detach();
    await running;
    expect(server.enrolments).toHaveLength(1);
  });

  test('a start without token and credential is refused', async () => {
    start();
    await expect(running).rejects.toThrow('EXECPLANE_JOIN_TOKEN');
  });

  test('a token is ignored if there is a credential', async () => {
    enrolledAs('dm-1');
    start({ joinToken: 'xpj_other' });
    await connect();
    expect(server.enrolments).toEqual([]);
    expect(connectedAs).toEqual(['dm-1']);
  });

  test('an agent whose machine was removed joins again if it has a new token', async () => {
    enrolledAs('dm-1');
    server.refusals.push(401);
    server.enrolAnswers.push({ status: 200, body: { machine_id: 'dm-2' } });
    start({ joinToken: 'xpj_new' });
    await connect();
    expect(connectedAs).toEqual(['dm-2']);
    expect(readCredential(dir)?.machineId).toBe('dm-2');
  });

  test('an agent whose machine was removed keeps its credential if it has only the used token', async () => {
    enrolledAs('dm-1', 'xpj_used');
    server.refusals.push(401);
    const refused = server.refused();
    start({ joinToken: 'xpj_used' });
    await refused;
    agent.detach();
    await running;
    expect(server.enrolments).toEqual([]);
    expect(readCredential(dir)?.credential).toBe(CREDENTIAL);
    expect(log.join('')).not.toContain(CREDENTIAL);
  });
});

describe('a credential that is rotated', () => {
  test('the agent reconnects at once with the new credential; the runner does not notice', async () => {
    enrolledAs('dm-1');
    server.enrolAnswers.push({ status: 200, body: { machine_id: 'dm-1' } });
    start({ joinToken: 'xpj_used' });
    const { link } = await connect();
    link.send({ type: 'rotate', join_token: 'xpj_rotate' });
    link.send({ type: 'forget', execution_ids: [] });
    await runner.nextOf('forget');
    link.ws.close(CLOSE.revoked);
    await connect();
    const fresh = server.enrolments[0]?.['credential'];
    expect(server.enrolments).toMatchObject([{ join_token: 'xpj_rotate' }]);
    expect(server.authorizations).toEqual([`Bearer ${CREDENTIAL}`, `Bearer ${fresh}`]);
    // The token of the settings stays used: a later refusal does not use it for another machine.
    expect(readCredential(dir)).toEqual({
      machineId: 'dm-1',
      credential: fresh,
      enrolledWith: tokenDigest('xpj_used'),
    });
  });

  test.each([
    ['no join token', {}],
    ['a join token whose file is gone', { joinTokenFile: '/nowhere/join-token' }],
  ])('an agent that died before the answer finds the new credential, with %s', async (_what, settings) => {
    enrolledAs('dm-1');
    const credential = `xpa_${'b'.repeat(43)}`;
    const left = { credential, enrolled_with: tokenDigest('xpj_rotate') };
    writeFileSync(join(dir, 'enrolment.json'), JSON.stringify(left), { mode: 0o600 });
    server.refusals.push(401);
    start(settings);
    await connect();
    expect(server.authorizations).toEqual([`Bearer ${CREDENTIAL}`, `Bearer ${credential}`]);
    expect(readCredential(dir)?.credential).toBe(credential);
  });
});

describe('a connection that is closed', () => {
  test.each([CLOSE.restart, CLOSE.badFrame, CLOSE.replaced])('with %d is opened again', async (code) => {
    enrolledAs('dm-1');
    start();
    const { link } = await connect();
    link.ws.close(code);
    await runner.nextOf('unlinked');
    await connect();
    expect(runner.attaches).toBe(1);
  });
});

describe('an agent that leaves', () => {
  beforeEach(() => enrolledAs('dm-1'));

  test('shows other programs whether it is connected', async () => {
    start();
    const { link } = await connect();
    await expect.poll(() => findLink(dir)?.linked).toBe(true);
    link.ws.close(CLOSE.restart);
    await expect.poll(() => findLink(dir)?.linked).toBe(false);
  });

  test('closes the connection on detach and leaves the runner running', async () => {
    start();
    const { link } = await connect();
    expect(findLink(dir)).toMatchObject({ pid: process.pid });
    agent.detach();
    await running;
    expect(await link.closed).toBe(1000);
    expect((await runner.next()).frame.type).toBe('unlinked');
    expect(findLink(dir)).toBeUndefined();
  });

  test("passes on the runner's remaining reports on stop before it exits", async () => {
    runner.answer = { type: 'attached', runner_instance: INSTANCE, pid: GONE_PID };
    start();
    const { link } = await connect();
    agent.stop();
    expect(await runner.nextOf('stop')).toEqual({ type: 'stop', grace_ms: 5000 });
    runner.sendRecords(Buffer.from('the last words'));
    expect((await link.next()).data.toString()).toBe('the last words');
    link.send({ type: 'ack', acks: [['e1', 3]] });
    expect(await runner.nextOf('ack')).toEqual({ type: 'ack', acks: [['e1', 3]] });
    runner.send({ type: 'stopped' });
    runner.hangUp();
    await running;
    expect(await link.closed).toBe(1000);
    expect(runner.attaches).toBe(1);
  });
});

describe('agent stop', () => {
  test('stops the runner itself if there is no link process', async () => {
    runner.answer = { type: 'attached', runner_instance: INSTANCE, pid: GONE_PID };
    const stopped = stopAgent(dir);
    await runner.nextOf('stop');
    runner.send({ type: 'stopped' });
    runner.hangUp();
    expect(await stopped).toBe('stopped');
  });

  test('reports that nothing runs', async () => {
    await runner.close();
    expect(await stopAgent(dir)).toBe('nothing_runs');
    runner = await ScriptedRunner.listen(dir);
  });

  test('does not take another process with the recorded pid for the link process', () => {
    const { release } = claimPidFile(dir);
    const file = join(dir, 'link.pid');
    const claimed = JSON.parse(readFileSync(file, 'utf8'));
    expect(findLink(dir)).toMatchObject({ pid: process.pid });
    writeFileSync(file, JSON.stringify({ ...claimed, start_time: '1' }));
    expect(findLink(dir)).toBeUndefined();
    release();
  });
});
