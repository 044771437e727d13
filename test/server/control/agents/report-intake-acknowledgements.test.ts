/** Stored reports are acknowledged at once if they fill the agent's window, else with the next start or after a short time. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Acknowledgements } from '../../../../src/server/control/agents/acknowledgements.ts';
import type { ServerFrame } from '../../../../src/core/protocol.ts';
import { encodeRecord, REPORT_KIND } from '../../../../src/core/report.ts';
import type { AgentConnection } from '../../../../src/server/control/agents/connection/connection.ts';
import { ReportGaps } from '../../../../src/server/control/agents/report-gaps.ts';
import { type IntakeDeps, ReportBudget, ReportIntake } from '../../../../src/server/control/agents/report-intake.ts';
import { OutputRelays } from '../../../../src/server/control/relay/output-relays.ts';
import { storedExecution } from '../../../helpers/stored-execution.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

const CANCEL: ServerFrame = { type: 'cancel', execution_id: 'ex-2', grace_ms: 1 };

/** An intake over a store that accepts everything. `written`: the types of the frames of each write. */
function intake() {
  const written: string[][] = [];
  let corked: string[] | undefined;
  const connection = {
    unsentBytes: 0,
    send: ({ type }: ServerFrame) => void (corked === undefined ? written.push([type]) : corked.push(type)),
    together(send: () => void) {
      corked = [];
      send();
      written.push(corked);
      corked = undefined;
    },
    pause() {},
    resume() {},
    close() {},
  };
  const execution = storedExecution({ status: 'running' });
  const store = {
    appendReports: async ({ records }: { records: readonly { number: number }[] }) => [
      { executionId: 'ex-1', outcome: 'applied', reported: records.at(-1)?.number, execution, statusChanged: false },
    ],
  };
  const deps = {
    store,
    relays: new OutputRelays({ streamBufferBytes: 1, releaseWithinMs: 1, releasedInStore() {} }),
    reportBudget: new ReportBudget(),
    reportGaps: new ReportGaps(),
    commits: { committed() {} },
    now: () => 1000,
    settings: {},
  } as unknown as IntakeDeps;
  const session = { machineId: 'dm-one', log() {}, freeSlot: () => false, claimMore() {}, markLost() {} };
  const agent = connection as unknown as AgentConnection;
  const acks = new Acknowledgements(agent);
  const reports = new ReportIntake(deps, { connection: agent, acks, session });
  let number = 0;
  const report = async (bytes: number): Promise<void> => {
    number += 1;
    const payload = Buffer.alloc(bytes);
    reports.push(encodeRecord({ kind: REPORT_KIND.stdout, executionId: 'ex-1', number, at: 1, payload }));
    await vi.advanceTimersByTimeAsync(0);
  };
  const close = (): void => {
    reports.close();
    acks.close();
  };
  return { acks, report, written, close };
}

test('a small report is acknowledged with the next start, in one write', async () => {
  const { acks, report, written, close } = intake();
  await report(100);
  expect(written).toEqual([]);
  acks.flushWith(CANCEL);
  expect(written).toEqual([['ack', 'cancel']]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(written).toHaveLength(1);
  close();
});

test('small reports without a start are acknowledged after a moment, with one frame', async () => {
  const { report, written, close } = intake();
  await report(100);
  await report(100);
  await vi.advanceTimersByTimeAsync(1000);
  expect(written).toEqual([['ack']]);
  close();
});

test('reports that fill the window are acknowledged at once, together with small ones before them', async () => {
  const { report, written, close } = intake();
  await report(100);
  await report(65_536);
  expect(written).toEqual([['ack']]);
  await report(40_000);
  expect(written).toHaveLength(1);
  await report(40_000);
  expect(written).toEqual([['ack'], ['ack']]);
  close();
  await vi.advanceTimersByTimeAsync(1000);
  expect(written).toHaveLength(2);
});
