/** How far a terminal may print, by the clients on this server and on others. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { AgentSession } from '../../../../src/server/control/agents/session.ts';
import { TERMINAL_AHEAD_BYTES } from '../../../../src/server/control/agents/start-frame.ts';
import { TerminalLimits } from '../../../../src/server/control/commands/terminal-limits.ts';
import { storedExecution } from '../../../helpers/stored-execution.ts';

const TERMINAL = storedExecution({ status: 'running', isTerminal: true });
const { machineId, executionId } = TERMINAL;
const OTHER_SERVER = 7;

let told: number[];
let session: Pick<AgentSession, 'tell'> | undefined;
let now: number;
let limits: TerminalLimits;

const connect = () => {
  session = {
    tell: (frame) => {
      if (frame.type === 'output_limit') told.push(frame.stdout);
      return true;
    },
  };
};
const set = (offset: number | undefined, replicaId?: number) =>
  limits.set({ machineId, executionId, offset, ...(replicaId !== undefined && { replicaId }) });
const printed = (bytes: number) => limits.committed({ ...TERMINAL, stdout: { bytes, truncated: false } });

beforeEach(() => {
  told = [];
  now = 0;
  connect();
  limits = new TerminalLimits({ session: () => session as AgentSession | undefined, now: () => now });
});

test('without a client a terminal prints on: its limit is raised as its output comes', () => {
  printed(1000);
  printed(2000);
  expect(told).toEqual([1000 + TERMINAL_AHEAD_BYTES]);
  printed(TERMINAL_AHEAD_BYTES);
  expect(told.at(-1)).toBe(2 * TERMINAL_AHEAD_BYTES);
});

test('the slowest client of all servers decides, and output that comes raises nothing', () => {
  set(900_000);
  set(500_000, OTHER_SERVER);
  set(1_000_000);
  printed(499_000);
  expect(told).toEqual([900_000]);
  set(950_000, OTHER_SERVER);
  expect(told).toEqual([900_000, 950_000]);
  expect(limits.elsewhere(executionId)).toBe(950_000);
});

test('a client that has gone does not hold up the terminal any more', () => {
  printed(10);
  set(100_000_000);
  set(20_000_000, OTHER_SERVER);
  set(undefined, OTHER_SERVER);
  expect(told.at(-1)).toBe(100_000_000);
  printed(100_000_000);
  set(undefined);
  expect(told.at(-1)).toBe(100_000_000 + TERMINAL_AHEAD_BYTES);
});

test('a server that has died, and repeats its limit no longer, does not hold up the terminal', () => {
  set(5_100_000, OTHER_SERVER);
  printed(5_100_000);
  now += 60_000;
  limits.sweep();
  expect(limits.elsewhere(executionId)).toBeUndefined();
  expect(told.at(-1)).toBe(5_100_000 + TERMINAL_AHEAD_BYTES);
});

test('a new connection of the agent is told again, because the last frame may not have arrived', () => {
  set(700_000);
  connect();
  printed(650_000);
  expect(told).toEqual([700_000, 700_000]);
});

test('an agent that is connected to another server is told nothing from here', () => {
  session = undefined;
  expect(set(700_000)).toBe('agent_away');
  printed(650_000);
  expect(told).toEqual([]);
});

describe('the clients of a terminal', () => {
  const join = (clients: number, replicaId?: number) =>
    limits.set({ machineId, executionId, offset: undefined, clients, ...(replicaId !== undefined && { replicaId }) });

  test('are at most 8 on all servers together, and a refused one does not count', () => {
    expect([join(5), join(3, OTHER_SERVER), join(6), join(4, OTHER_SERVER)]).toEqual(['sent', 'sent', 'full', 'full']);
    expect([join(5), join(3, OTHER_SERVER)]).toEqual(['sent', 'sent']);
    expect([join(4), join(4, OTHER_SERVER)]).toEqual(['sent', 'sent']);
  });

  test('leave room when they disconnect, and when their server dies', () => {
    expect([join(8), join(1, OTHER_SERVER), join(0), join(8, OTHER_SERVER), join(1)]).toEqual([
      'sent',
      'full',
      'sent',
      'sent',
      'full',
    ]);
    now += 60_000;
    limits.sweep();
    expect(join(1)).toBe('sent');
  });

  test('do not limit the output before they have received any', () => {
    printed(1000);
    join(1, OTHER_SERVER);
    printed(TERMINAL_AHEAD_BYTES);
    expect(told.at(-1)).toBe(2 * TERMINAL_AHEAD_BYTES);
    expect(limits.elsewhere(executionId)).toBeUndefined();
  });

  test('are counted where the agent is connected', () => {
    session = undefined;
    expect(join(1)).toBe('agent_away');
  });
});
