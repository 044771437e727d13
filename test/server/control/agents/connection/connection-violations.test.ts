/** A violation of an agent closes its connection with the right code, is logged once, and affects no other agent. */
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { CLOSE } from '../../../../../src/core/protocol.ts';
import { TestPlane } from '../../../../helpers/control-plane.ts';
import { ScriptedAgent } from '../../../../helpers/scripted-agent.ts';

type Misdeed = (agent: ScriptedAgent) => void;

const BEFORE_HELLO: [string, number, Misdeed][] = [
  ['garbage', CLOSE.badFrame, (agent) => agent.ws.send('}{')],
  ['a frame out of order', CLOSE.badFrame, (agent) => agent.ws.send('{"type":"capacity","accepting":true}')],
  ['a message that is too large', CLOSE.tooLarge, (agent) => agent.ws.send(Buffer.alloc(17 << 20))],
  ['a version that nobody speaks', CLOSE.version, (agent) => agent.hello({ protocol: { min: 98, max: 99 } })],
];
const JOINED: [string, number, Misdeed][] = [
  ['garbage, once it has joined', CLOSE.badFrame, (agent) => agent.ws.send('}{')],
  ['a second hello', CLOSE.badFrame, (agent) => agent.hello()],
  ['a record that is none', CLOSE.badFrame, (agent) => agent.ws.send(Buffer.alloc(100, 7))],
];

async function planeWithLog() {
  const lines: string[] = [];
  const plane = await TestPlane.start({ logger: pino({}, { write: (line: string) => void lines.push(line) }) });
  const named = (machineId: string) =>
    lines.filter((line) => line.includes(machineId) && !line.includes('"agent connected"'));
  return { plane, linesOf: named };
}

test.each([
  ...BEFORE_HELLO.map((misdeed) => [...misdeed, false] as const),
  ...JOINED.map((misdeed) => [...misdeed, true] as const),
])('%s closes with code %d and logs one line', async (_what, code, misdeed, joined) => {
  const { plane, linesOf } = await planeWithLog();
  const bystander = await ScriptedAgent.join(plane.url, await plane.machine('dm-other'));
  const credential = await plane.machine('dm-culprit');
  const culprit = await (joined
    ? ScriptedAgent.join(plane.url, credential)
    : ScriptedAgent.open(plane.url, credential));
  misdeed(culprit);
  expect(await culprit.closed).toMatchObject({ code });
  // The WebSocket library closes the connection after a message that is too large, and its error is logged.
  const said = code === CLOSE.tooLarge ? 'Max payload size exceeded' : `"code":${code}`;
  await expect.poll(() => linesOf('dm-culprit')).toEqual([expect.stringContaining(said)]);
  await plane.create({ machineId: 'dm-other' });
  await bystander.runNext();
  expect(linesOf('dm-other')).toEqual([]);
});
