/**
 * Hostile messages of one agent must use little time of the server's event loop. Each input is compared with a stall of known length
 * that the test causes.
 */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { CLOSE } from '../../src/core/protocol.ts';
import { AGENT_LIMITS } from '../../src/server/control/agents/connection/limits.ts';
import { TestPlane } from '../helpers/control-plane.ts';
import { HELLO, ScriptedAgent } from '../helpers/scripted-agent.ts';
import { TurnProbe } from '../helpers/turn-probe.ts';

/** Text of about `bytes` bytes whose objects share no key: the slowest input of JSON.parse. */
function distinctKeys(bytes: number): string {
  const parts: string[] = [];
  for (let length = 0; length < bytes; length += parts.at(-1)?.length ?? 0) parts.push(`{"k${parts.length}":1},`);
  return `[${parts.join('')}0]`;
}

/** Parses 1 MiB of such text, which takes about 100 ms on an idle machine. */
function referenceStall(): number {
  const text = distinctKeys(1 << 20);
  const before = process.threadCpuUsage();
  JSON.parse(text);
  const { user, system } = process.threadCpuUsage(before);
  return user + system;
}

const padded = (frame: object, bytes: number): string => JSON.stringify({ ...frame, x: 'x'.repeat(bytes) });
const helloWith = (extra: string): string => `${JSON.stringify(HELLO).slice(0, -1)},"x":${extra}}`;
const HELD = Array.from({ length: 6000 }, (_, index) => ({
  execution_id: `ex-mg2k1abcd${randomBytes(8).toString('hex')}${index}`.slice(0, 27),
  state: 'ended' as const,
  reported: 3,
}));

type Attack = (agent: ScriptedAgent) => void;
/** `cut`: a burst of pings may be cut without a close frame (docs/PROTOCOL.md). */
type Outcome = number | 'cut' | undefined;
const BEFORE_HELLO: [string, Outcome, Attack][] = [
  ['a hello that is full', undefined, (agent) => agent.hello({ held: HELD })],
  [
    'a hello of objects without a key in common',
    undefined,
    (agent) => agent.ws.send(helloWith(distinctKeys(AGENT_LIMITS.helloBytes - 1000))),
  ],
  ['a hello of 15 MiB', CLOSE.tooLarge, (agent) => agent.ws.send(padded(HELLO, 15 << 20))],
];
const JOINED: [string, Outcome, Attack][] = [
  [
    'a capacity frame of 10 MiB',
    CLOSE.tooLarge,
    (agent) => agent.ws.send(padded({ type: 'capacity', accepting: true }, 10 << 20)),
  ],
  [
    'a capacity frame of 100 KiB',
    CLOSE.tooLarge,
    (agent) => agent.ws.send(padded({ type: 'capacity', accepting: true }, 100 << 10)),
  ],
  [
    'frames of 60 KiB, one behind the other',
    CLOSE.tooManyFrames,
    (agent) => {
      for (let count = 0; count < 20; count += 1) {
        agent.ws.send(padded({ type: 'capacity', accepting: true }, 60 << 10));
      }
    },
  ],
  [
    'a message of empty fragments without end',
    1008,
    (agent) => {
      for (let count = 0; count < 20_000; count += 1) agent.ws.send('', { fin: false });
    },
  ],
  [
    'more pings than it may send',
    'cut',
    (agent) => {
      for (let count = 0; count < 2500; count += 1) agent.ws.ping();
    },
  ],
  [
    'more pongs than it may send, which nobody asked for',
    CLOSE.tooManyFrames,
    (agent) => {
      for (let count = 0; count < 2500; count += 1) agent.ws.pong();
    },
  ],
];

test.each([
  ...BEFORE_HELLO.map((attack) => [...attack, false] as const),
  ...JOINED.map((attack) => [...attack, true] as const),
])('%s: the event loop is blocked for less time than by the reference (S9)', async (_what, code, attack, joined) => {
  const plane = await TestPlane.start();
  const bystander = await ScriptedAgent.join(plane.url, await plane.machine('dm-other'));
  const credential = await plane.machine('dm-culprit');
  const culprit = await (joined
    ? ScriptedAgent.join(plane.url, credential)
    : ScriptedAgent.open(plane.url, credential));
  const probe = new TurnProbe();
  // The attacker sends before the measurement begins; receiving is the server's work.
  attack(culprit);
  probe.start();
  if (code === undefined) await culprit.next('welcome');
  else if (code === 'cut') expect([CLOSE.tooManyFrames, 1006]).toContain((await culprit.closed).code);
  else expect(await culprit.closed).toMatchObject({ code });
  const { longest } = probe.stop();
  expect(longest).toBeLessThan(referenceStall());
  await plane.create({ machineId: 'dm-other' });
  await bystander.runNext();
});
