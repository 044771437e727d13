import { randomBytes } from 'node:crypto';
import Fastify from 'fastify';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { AGENT_PATHS, CLOSE } from '../../../../src/core/protocol.ts';
import { enrolRoute } from '../../../../src/server/http/agents/enrol.ts';
import { hashSecret } from '../../../../src/server/http/agents/authentication.ts';
import type { App } from '../../../../src/server/http/http-context.ts';
import { errorHandler } from '../../../../src/server/http/replies/error-replies.ts';
import { validatorCompiler } from '../../../../src/server/http/app/validation.ts';
import type { JoinToken } from '../../../../src/store/store.ts';
import { TestPlane } from '../../../helpers/control-plane.ts';
import { ScriptedAgent } from '../../../helpers/scripted-agent.ts';

const credential = () => `xpa_${randomBytes(32).toString('base64url')}`;

async function openEnrolment() {
  const plane = await TestPlane.start();
  const app = Fastify() as unknown as App;
  const silent = pino({ level: 'silent' });
  app.setValidatorCompiler(validatorCompiler);
  app.setErrorHandler(errorHandler(silent));
  enrolRoute(app, {
    requireCertificate: false,
    store: plane.store,
    log: silent,
    now: Date.now,
    credentialChanged: (machineId) => plane.control.credentialChanged(machineId),
  });
  onTestFinished(() => app.close());
  const enrol = (body: object | string, type = 'application/json') =>
    app.inject({ method: 'POST', url: AGENT_PATHS.enrol, payload: body, headers: { 'content-type': type } });
  const token = async (parts: Partial<JoinToken> = {}): Promise<string> => {
    const secret = `xpj_${randomBytes(16).toString('base64url')}`;
    const now = Date.now();
    await plane.store.createJoinToken({
      token: { joinTokenId: secret.slice(4, 14), reusable: false, createdAt: now, expiresAt: now + 60_000, ...parts },
      tokenHash: hashSecret(secret),
      now,
    });
    return secret;
  };
  return { plane, enrol, token };
}

test('a token makes one machine; the same request again gets the same answer', async () => {
  const { plane, enrol, token } = await openEnrolment();
  const body = { join_token: await token(), credential: credential() };
  const first = await enrol(body);
  expect(first.statusCode).toBe(200);
  expect(first.json()).toEqual({ machine_id: expect.stringMatching(/^dm-[a-z0-9]{16}$/) });
  expect((await enrol(body)).json()).toEqual(first.json());
  const again = await enrol({ ...body, credential: credential() });
  expect([again.statusCode, again.json().error_code]).toEqual([401, 'AUTH_INVALID']);
  await ScriptedAgent.join(plane.url, body.credential);
});

test('a machine gets the name that its agent requests, if no other machine has it', async () => {
  const { plane, enrol, token } = await openEnrolment();
  const join = async () => enrol({ join_token: await token(), credential: credential(), name: 'web-1' });
  const { machine_id: machineId } = (await join()).json();
  expect(await plane.store.getMachine({ machineId })).toMatchObject({ name: 'web-1' });
  const second = await join();
  expect([second.statusCode, second.json().details]).toEqual([409, { reason: 'name_taken' }]);
});

test('of ten simultaneous uses of a token exactly one succeeds (fault 42)', async () => {
  const { enrol, token } = await openEnrolment();
  const join_token = await token();
  const answers = await Promise.all(Array.from({ length: 10 }, () => enrol({ join_token, credential: credential() })));
  expect(answers.filter((answer) => answer.statusCode === 200)).toHaveLength(1);
});

test('an expired token is refused, and so is one for the id of an existing machine', async () => {
  const { plane, enrol, token } = await openEnrolment();
  const late = await enrol({ join_token: await token({ expiresAt: Date.now() - 1 }), credential: credential() });
  expect(late.statusCode).toBe(401);
  await plane.machine('dm-there');
  const taken = await enrol({ join_token: await token(), credential: credential(), machine_id: 'dm-there' });
  expect([taken.statusCode, taken.json().error_code]).toEqual([409, 'INVALID_STATE']);
  const odd = await enrol({ join_token: await token(), credential: credential(), machine_id: 'Not An Id' });
  expect(odd.statusCode).toBe(409);
});

test('a token for a machine enrols it again: connections with the old credential end at once', async () => {
  const { plane, enrol, token } = await openEnrolment();
  const old = await plane.machine();
  const agent = await ScriptedAgent.join(plane.url, old);
  const fresh = credential();
  const answer = await enrol({ join_token: await token({ machineId: 'dm-one' }), credential: fresh });
  expect(answer.json()).toEqual({ machine_id: 'dm-one' });
  expect(await agent.closed).toMatchObject({ code: CLOSE.revoked });
  await expect(ScriptedAgent.open(plane.url, old)).rejects.toMatchObject({ status: 401 });
  await ScriptedAgent.join(plane.url, fresh, { runner_instance: 'another' });
});

test('a caller that fails too often must wait', async () => {
  const { enrol } = await openEnrolment();
  const guess = () => enrol({ join_token: 'xpj_guess', credential: credential() });
  for (let tried = 0; tried < 20; tried += 1) expect((await guess()).statusCode).toBe(401);
  const limited = await guess();
  expect([limited.statusCode, limited.json().error_code]).toEqual([429, 'RATE_LIMITED']);
});

test('simultaneous failures count like successive ones, and a valid token still succeeds (S14)', async () => {
  const { enrol, token } = await openEnrolment();
  const guess = () => enrol({ join_token: 'xpj_guess', credential: credential() });
  const answers = await Promise.all(Array.from({ length: 90 }, guess));
  const count = (status: number) => answers.filter((answer) => answer.statusCode === status).length;
  expect([count(401), count(429)]).toEqual([20, 70]);
  const good = await enrol({ join_token: await token(), credential: credential() });
  expect(good.statusCode).toBe(200);
});

test.each([
  ['is not JSON', '{', 'application/json', 400],
  ['is of another media type', 'join_token=x', 'application/x-www-form-urlencoded', 415],
  ['is too large', 'x'.repeat(20_000), 'application/json', 413],
])('a body that %s counts as a failure, too', async (_what, body, type, status) => {
  const { enrol, token } = await openEnrolment();
  for (let tried = 0; tried < 20; tried += 1) expect((await enrol(body, type)).statusCode).toBe(status);
  expect((await enrol(body, type)).json()).toMatchObject({ error_code: 'RATE_LIMITED' });
  expect((await enrol({ join_token: 'xpj_guess', credential: credential() })).statusCode).toBe(429);
  expect((await enrol({ join_token: await token(), credential: credential() })).statusCode).toBe(200);
});

test('a malformed request counts as a failure, and above the limit it is not even validated', async () => {
  const { enrol } = await openEnrolment();
  const malformed = () => enrol({ join_token: 7, unknown: true });
  for (let tried = 0; tried < 20; tried += 1) expect((await malformed()).statusCode).toBe(422);
  expect((await malformed()).statusCode).toBe(429);
  expect((await enrol({ join_token: 'xpj_guess', credential: credential() })).statusCode).toBe(429);
});

test('a success does not count against the limit', async () => {
  const { enrol, token } = await openEnrolment();
  const reusable = await token({ reusable: true });
  for (let agent = 0; agent < 25; agent += 1) {
    expect((await enrol({ join_token: reusable, credential: credential() })).statusCode).toBe(200);
  }
  expect((await enrol({ join_token: 'xpj_guess', credential: credential() })).statusCode).toBe(401);
});
