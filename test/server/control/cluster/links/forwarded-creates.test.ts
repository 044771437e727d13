/** Creates for other servers, and what is sent of their executions. */
import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { expect, test } from 'vitest';
import { forwardedCreate } from '../../../../../src/server/control/cluster/links/forwarded-create.ts';
import { ForwardedCreates } from '../../../../../src/server/control/cluster/links/forwarded-creates.ts';
import {
  encodePeerFrame,
  type PeerFrame,
  PeerFrameReader,
} from '../../../../../src/server/control/cluster/links/frames.ts';
import type { PeerLink } from '../../../../../src/server/control/cluster/links/peer-link.ts';
import type { CreateRequest, CreateResult } from '../../../../../src/server/control/commands/create-request.ts';
import { storedExecution } from '../../../../helpers/stored-execution.ts';

const SPAN = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 };
const REQUEST: CreateRequest = {
  machineId: 'dm-one',
  command: ['printf', 'ü\n'],
  stdin: { mode: 'fixed', bytes: Buffer.from([0, 255]) },
  env: { A: '1' },
  createdBy: 'key-1',
  actor: { apiKeyId: 'key-1' },
  idempotency: { apiKeyId: 'key-1', key: 'k', digest: Buffer.from('digest'), expiresAt: 9 },
  trace: trace.setSpanContext(ROOT_CONTEXT, SPAN),
};
const QUEUED = storedExecution();

function creates(result: CreateResult | Error = { outcome: 'created', execution: QUEUED }) {
  const sent: PeerFrame[] = [];
  const asked: CreateRequest[] = [];
  const link = { send: (frame: PeerFrame) => sent.push(frame) > 0 } as unknown as PeerLink;
  const all: ForwardedCreates = new ForwardedCreates({
    creator: {
      create: async (request) => {
        asked.push(request);
        if (result instanceof Error) throw result;
        if (result.outcome === 'created') all.committed(result.execution);
        return result;
      },
    },
    sessions: { get: (machineId) => (machineId === 'dm-one' ? {} : undefined) },
  });
  return { all, link, sent, asked };
}

/** As it arrives at the other server. */
function received(executionId: string, request: CreateRequest) {
  const line = encodePeerFrame({ type: 'create', id: 1, create: forwardedCreate(executionId, request) });
  const [frame] = new PeerFrameReader().read(line ?? '');
  if (frame?.type !== 'create') throw new Error('not a create');
  return frame.create;
}

test('a request arrives as it was: actor, Idempotency-Key, bytes of stdin, the span of its trace', async () => {
  const { all, link, asked, sent } = creates();
  await all.create(link, 7, received('ex-1', REQUEST));
  const { trace: context = ROOT_CONTEXT, ...plain } = asked[0] ?? REQUEST;
  const { trace: _, ...expected } = REQUEST;
  expect(plain).toEqual(expected);
  expect(trace.getSpanContext(context)).toEqual({ ...SPAN, isRemote: true });
  expect(sent).toEqual([{ type: 'created', id: 7, answer: { outcome: 'created', execution: QUEUED } }]);
});

test('each later status is sent once, without the output in between, and nothing after the end', async () => {
  const { all, link, sent } = creates();
  await all.create(link, 1, received('ex-1', REQUEST));
  const [running, printing] = [2, 3].map((lastSequence) => storedExecution({ status: 'running', lastSequence }));
  const ended = storedExecution({ status: 'succeeded', lastSequence: 4 });
  for (const execution of [running, printing, ended, ended]) if (execution) all.committed(execution);
  expect(sent.slice(1)).toEqual([
    { type: 'changed', execution: running },
    { type: 'changed', execution: ended },
  ]);
});

test('nothing is sent of an execution whose server is gone', async () => {
  const { all, link, sent } = creates();
  await all.create(link, 1, received('ex-1', REQUEST));
  all.closed(link);
  all.committed(storedExecution({ status: 'running', lastSequence: 2 }));
  expect(sent).toHaveLength(1);
});

test.each([
  ['an agent that is elsewhere', { ...REQUEST, machineId: 'dm-two' }, undefined, { outcome: 'not_here' }],
  ['a database that cannot be written', REQUEST, new Error('no'), { outcome: 'failed' }],
  ['a full queue', REQUEST, { outcome: 'queue_full' as const }, { outcome: 'queue_full' }],
])('%s is answered', async (_name, request, result, answer) => {
  const { all, link, sent } = creates(result);
  await all.create(link, 1, received('ex-1', request));
  expect(sent).toEqual([{ type: 'created', id: 1, answer }]);
  all.committed(storedExecution({ status: 'running', lastSequence: 2 }));
  expect(sent).toHaveLength(1);
});

test('a message that is malformed, or has no end, is refused', () => {
  expect(() => new PeerFrameReader().read('{"type":"rubbish"}\n')).toThrow('malformed');
  expect(() => new PeerFrameReader().read('x\n')).toThrow();
  expect(() => new PeerFrameReader().read('x'.repeat(1_100_000))).toThrow('too long');
  const reader = new PeerFrameReader();
  expect(reader.read('{"type":')).toEqual([]);
  expect(reader.read('"ping"}\n{"type":"ping"}\n')).toEqual([{ type: 'ping' }, { type: 'ping' }]);
});
