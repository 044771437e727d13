/** Other requests get turns of the event loop while a large answer is made, even if the client reads the answer at once. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TurnProbe } from '../helpers/turn-probe.ts';
import { ADMIN_KEY, type HttpFixture, httpFixture, MACHINE } from '../server/http/http-fixture.ts';

const MIB = 1024 * 1024;
const EXECUTIONS = `/v1/machines/${MACHINE}/executions`;
/** The limit for the longest turn, as a fraction of the CPU time of the whole answer. */
const LIMIT = 0.5;
/** Repeats the measurement until one round is below the limit, since a garbage collection can take longer than a turn. */
const ROUNDS = 10;

let http: HttpFixture;
let executionId: string;

beforeAll(async () => {
  http = await httpFixture();
  executionId = await http.create();
  await http.start(executionId);
  const chunks = Array.from({ length: 12 * 16 }, () => ({ kind: 'stdout' as const, payload: randomBytes(MIB / 16) }));
  await http.report(executionId, ...chunks);
  await http.finish(executionId, { stdout_bytes: 12 * MIB });
});
afterAll(() => http[Symbol.asyncDispose]());

/** Measures the turns while an answer is made. An injected request reads all bytes at once, like the fastest client. */
async function turnsOf(url: string, headers: Record<string, string>) {
  const probe = new TurnProbe();
  probe.start();
  const answer = await http.app.inject({ url, headers: { authorization: `Bearer ${ADMIN_KEY}`, ...headers } });
  return { status: answer.statusCode, bytes: answer.rawPayload.length, ...probe.stop() };
}

test.each([
  ['output as text', '/output', {}],
  ['output in base64', '/output?encoding=base64', {}],
  ['an execution with its output', '?include=output', {}],
  ['the end of the output', `/output?tail=${11 * MIB}`, {}],
  ['events', '/events', { accept: 'text/event-stream' }],
])('%s of 12 MiB is made in many turns (S3)', async (_what, path, headers) => {
  const parts: number[] = [];
  while (parts.length < ROUNDS && !parts.some((part) => part < LIMIT)) {
    const { status, bytes, longest, total } = await turnsOf(`${EXECUTIONS}/${executionId}${path}`, headers);
    expect([status, bytes > 11 * MIB]).toEqual([200, true]);
    parts.push(longest / total);
  }
  expect(Math.min(...parts)).toBeLessThan(LIMIT);
});
