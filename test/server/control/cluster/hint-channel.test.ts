/** Which commits of a server become hints to the others. */
import { expect, onTestFinished, test } from 'vitest';
import { HintChannel, type HintedParts } from '../../../../src/server/control/cluster/hint-channel.ts';
import { progressOf } from '../../../../src/server/control/live/live.ts';
import type { Hint } from '../../../../src/store/store.ts';
import { storedExecution } from '../../../helpers/stored-execution.ts';

const CREATED = storedExecution({ lastSequence: 1 });
const RUNNING = storedExecution({ status: 'running', lastSequence: 2 });
const NO_PARTS: HintedParts = {
  execution: () => undefined,
  machine: () => undefined,
  cancel: () => undefined,
  status: () => undefined,
  batch: () => undefined,
  inbox: () => undefined,
  everything: () => undefined,
};

function channel() {
  const sent: Hint[] = [];
  const others = { registered: true };
  const hints = new HintChannel({
    cluster: { replicaId: 1, hint: async (some) => void sent.push(...some), listen: () => async () => undefined },
    parts: NO_PARTS,
    peers: { isComplete: false, hint: () => {} },
    isAlone: () => !others.registered,
  });
  onTestFinished(() => hints.stop());
  return { hints, sent, others };
}

test('a commit is told to other servers, except for a create', async () => {
  const { hints, sent } = channel();
  hints.committed(CREATED);
  hints.committed(RUNNING);
  await Promise.resolve();
  expect(sent).toEqual([{ about: 'execution', executionId: RUNNING.executionId, progress: progressOf(RUNNING) }]);
});

test('a server that is alone sends no hints about its commits', async () => {
  const { hints, sent, others } = channel();
  others.registered = false;
  hints.committed(RUNNING);
  await Promise.resolve();
  expect(sent).toEqual([]);
  others.registered = true;
  hints.committed(RUNNING);
  await Promise.resolve();
  expect(sent).toHaveLength(1);
});
