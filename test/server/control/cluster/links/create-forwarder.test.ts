/** Creates that are forwarded to the server with the agent's connection, while that connection, or its server, comes and goes. */
import { expect, test } from 'vitest';
import { CreateForwarder } from '../../../../../src/server/control/cluster/links/create-forwarder.ts';
import type { PeerFrame } from '../../../../../src/server/control/cluster/links/frames.ts';
import type { PeerLink } from '../../../../../src/server/control/cluster/links/peer-link.ts';
import type { CreateAttempt, CreateRequest } from '../../../../../src/server/control/commands/create-request.ts';
import type { Execution } from '../../../../../src/store/store.ts';
import { storedExecution } from '../../../../helpers/stored-execution.ts';

const REQUEST: CreateRequest = {
  machineId: 'dm-one',
  command: ['/bin/true'],
  stdin: { mode: 'none' },
  env: {},
  createdBy: 'admin',
};
const HERE = storedExecution({ executionId: 'ex-here' });
const THERE = storedExecution({ executionId: 'ex-there' });

/** A forwarder whose other server says nothing until `answer`. */
function forwarder({ accepts = true, isHere = false } = {}) {
  const sent: PeerFrame[] = [];
  const attempts: (CreateAttempt | undefined)[] = [];
  const remembered: Execution[] = [];
  const link = {
    send: (frame: PeerFrame) => {
      sent.push(frame);
      return accepts;
    },
  } as unknown as PeerLink;
  const forwards = new CreateForwarder({
    creator: {
      create: async (_request, attempt) => {
        attempts.push(attempt);
        return { outcome: 'created', execution: HERE };
      },
    },
    sessions: { get: () => (isHere ? {} : undefined) },
    peers: { holderOf: (machineId) => (machineId === 'dm-one' ? link : undefined) },
    live: { remember: (execution) => remembered.push(execution) },
    now: () => 1000,
  });
  return { forwards, link, sent, attempts, remembered };
}

function createOf(frame: PeerFrame | undefined) {
  if (frame?.type !== 'create') throw new Error(`not a create: ${JSON.stringify(frame)}`);
  return frame;
}

test('the answer of the other server is the result, and a wait need not read it again', async () => {
  const { forwards, sent, attempts, remembered } = forwarder();
  const made = forwards.create(REQUEST);
  forwards.answered(createOf(sent[0]).id, { outcome: 'created', execution: THERE });
  expect(await made).toEqual({ outcome: 'created', execution: THERE });
  expect(attempts).toEqual([]);
  expect(remembered).toEqual([THERE]);
});

test('a create whose answer is lost is made here under the same id, which may exist already', async () => {
  const { forwards, link, sent, attempts } = forwarder();
  const made = forwards.create(REQUEST);
  forwards.closed(link);
  expect(await made).toEqual({ outcome: 'created', execution: HERE });
  const { create, id } = createOf(sent[0]);
  expect(attempts).toEqual([{ executionId: create.executionId, mayExist: true }]);
  // A late answer changes nothing.
  forwards.answered(id, { outcome: 'created', execution: THERE });
});

test('a create that failed there is made here under the same id', async () => {
  const { forwards, sent, attempts } = forwarder();
  const made = forwards.create(REQUEST);
  const { create, id } = createOf(sent[0]);
  forwards.answered(id, { outcome: 'failed' });
  await made;
  expect(attempts).toEqual([{ executionId: create.executionId, mayExist: true }]);
});

test('a create for an agent that has left the other server is made here, and has no earlier attempt', async () => {
  const { forwards, sent, attempts } = forwarder();
  const made = forwards.create(REQUEST);
  forwards.answered(createOf(sent[0]).id, { outcome: 'not_here' });
  await made;
  expect(attempts).toEqual([{ executionId: expect.any(String), mayExist: false }]);
});

test('a refusal of the other server is the result', async () => {
  const { forwards, sent, attempts } = forwarder();
  const made = forwards.create(REQUEST);
  forwards.answered(createOf(sent[0]).id, { outcome: 'queue_full' });
  expect(await made).toEqual({ outcome: 'queue_full' });
  expect(attempts).toEqual([]);
});

test.each([
  ['for an agent that is connected here', { isHere: true }, REQUEST],
  ['for an agent that no other server has', {}, { ...REQUEST, machineId: 'dm-two' }],
  ['with a large stdin', {}, { ...REQUEST, stdin: { mode: 'fixed' as const, bytes: Buffer.alloc(600_000) } }],
])('a create %s is not forwarded', async (_name, options, request) => {
  const { forwards, sent, attempts } = forwarder(options);
  await forwards.create(request);
  expect(sent).toEqual([]);
  expect(attempts).toEqual([undefined]);
});

test('a create that the connection cannot take is made here', async () => {
  const { forwards, attempts } = forwarder({ accepts: false });
  await forwards.create(REQUEST);
  expect(attempts).toEqual([{ executionId: expect.any(String), mayExist: false }]);
});
