/** Every list that the store offers, with every combination of its filters. */
import type { Store } from '../../src/store/store.ts';

const PAGE = { limit: 50, after: 40 };
const MACHINES = ['dm-1', 'dm-2'];
/** More machines than are looked up one by one. */
const MANY = Array.from({ length: 200 }, (_, at) => `dm-${at + 1}`);
const LABELS = [
  [{ key: 'role', value: 'web' }],
  [{ key: 'role' }],
  [
    { key: 'role', value: 'web' },
    { key: 'rare', value: 'yes' },
  ],
];

/** Named by what a caller asks for. */
export const LISTS: Readonly<Record<string, (store: Store) => Promise<unknown>>> = {
  machines: (store) => store.listMachines(PAGE),
  'machines of a key': (store) => store.listMachines({ ...PAGE, machineIds: MACHINES }),
  'machines, name': (store) => store.listMachines({ ...PAGE, name: 'name-7' }),
  ...combinations('machines', LABELS, (store, labels) => store.listMachines({ ...PAGE, labels })),
  ...combinations('machines of a key', LABELS, (store, labels) =>
    store.listMachines({ ...PAGE, machineIds: MACHINES, labels }),
  ),
  executions: (store) => store.listExecutions({ ...PAGE, machineId: 'dm-1' }),
  ...combinations('executions', ['queued', 'running', 'failed', 'succeeded'] as const, (store, status) =>
    store.listExecutions({ ...PAGE, machineId: 'dm-1', status }),
  ),
  'all executions': (store) => store.listAllExecutions(PAGE),
  'all executions, since': (store) => store.listAllExecutions({ ...PAGE, since: 10 }),
  ...combinations('all executions', ['queued', 'running', 'failed', 'succeeded'] as const, (store, status) =>
    store.listAllExecutions({ ...PAGE, status, since: 10 }),
  ),
  'all executions of a key': (store) => store.listAllExecutions({ ...PAGE, machineIds: MACHINES }),
  ...combinations('all executions of a key', ['queued', 'failed', 'succeeded'] as const, (store, status) =>
    store.listAllExecutions({ ...PAGE, machineIds: MACHINES, status }),
  ),
  'all executions of many machines': (store) => store.listAllExecutions({ ...PAGE, machineIds: MANY }),
  terminals: (store) => store.listTerminals({ ...PAGE, machineId: 'dm-1', endedAfter: 5 }),
  artifacts: (store) => store.listArtifacts({ ...PAGE, machineId: 'dm-1' }),
  'artifacts of an execution': (store) => store.listArtifacts({ ...PAGE, machineId: 'dm-1', executionId: 'ex-1' }),
  events: (store) => store.listEvents({ executionId: 'ex-1', afterSequence: 1, limit: 50, maxBytes: 1000 }),
  batches: (store) => store.listBatches(PAGE),
  'batches of a key': (store) => store.listBatches({ ...PAGE, createdBy: 'key-1' }),
  'executions of a batch': (store) => store.listBatchExecutions({ ...PAGE, batchId: 'batch-1' }),
  schedules: (store) => store.listSchedules(PAGE),
  'schedules of a key': (store) => store.listSchedules({ ...PAGE, createdBy: 'key-1' }),
  'runs of a schedule': (store) => store.listRuns({ ...PAGE, scheduleId: 'schedule-1' }),
  'API keys': (store) => store.listApiKeys(PAGE),
  'join tokens': (store) => store.listJoinTokens({ ...PAGE, now: 5 }),
  callbacks: (store) => store.listCallbacks(PAGE),
  audit: (store) => store.listAudit(PAGE),
  'audit of a key': (store) => store.listAudit({ ...PAGE, machineIds: MACHINES }),
};

function combinations<Value>(
  list: string,
  values: readonly Value[],
  call: (store: Store, value: Value) => Promise<unknown>,
): Record<string, (store: Store) => Promise<unknown>> {
  const named = values.map((value) => [`${list}, ${JSON.stringify(value)}`, (store: Store) => call(store, value)]);
  return Object.fromEntries(named);
}
