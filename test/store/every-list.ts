/** All lists of the store, with all combinations of their filters. */
import type { PageRequest, Store } from '../../src/store/store.ts';

const MACHINES = ['dm-1', 'dm-2'];
/** More machines than the store reads one by one. */
const MANY = Array.from({ length: 200 }, (_, at) => `dm-${at + 1}`);
const LABELS = [
  [{ key: 'role', value: 'web' }],
  [{ key: 'role' }],
  [
    { key: 'role', value: 'web' },
    { key: 'rare', value: 'yes' },
  ],
];

const SELECTED = LABELS.flatMap((labels) =>
  (['queued', 'failed', 'succeeded'] as const).map((status) => ({ labels, status })),
);

/** One page of each list, by the name of the request. */
export const listsOf = (page: PageRequest): Readonly<Record<string, (store: Store) => Promise<unknown>>> => ({
  machines: (store) => store.listMachines(page),
  'machines of a key': (store) => store.listMachines({ ...page, machineIds: MACHINES }),
  'machines, name': (store) => store.listMachines({ ...page, name: 'name-7' }),
  ...combinations('machines', LABELS, (store, labels) => store.listMachines({ ...page, labels })),
  ...combinations('machines of a key', LABELS, (store, labels) =>
    store.listMachines({ ...page, machineIds: MACHINES, labels }),
  ),
  executions: (store) => store.listExecutions({ ...page, machineId: 'dm-1' }),
  ...combinations('executions', ['queued', 'running', 'failed', 'succeeded'] as const, (store, status) =>
    store.listExecutions({ ...page, machineId: 'dm-1', status }),
  ),
  'all executions': (store) => store.listAllExecutions(page),
  'all executions, since': (store) => store.listAllExecutions({ ...page, since: 10 }),
  ...combinations('all executions', ['queued', 'running', 'failed', 'succeeded'] as const, (store, status) =>
    store.listAllExecutions({ ...page, status, since: 10 }),
  ),
  'all executions of a key': (store) => store.listAllExecutions({ ...page, machineIds: MACHINES }),
  ...combinations('all executions of a key', ['queued', 'failed', 'succeeded'] as const, (store, status) =>
    store.listAllExecutions({ ...page, machineIds: MACHINES, status }),
  ),
  ...combinations('all executions', LABELS, (store, labels) => store.listAllExecutions({ ...page, labels })),
  ...combinations('all executions of a key', LABELS, (store, labels) =>
    store.listAllExecutions({ ...page, machineIds: MACHINES, labels }),
  ),
  ...combinations('all executions', SELECTED, (store, selected) => store.listAllExecutions({ ...page, ...selected })),
  ...combinations('all executions of a key', SELECTED, (store, selected) =>
    store.listAllExecutions({ ...page, machineIds: MACHINES, ...selected }),
  ),
  ...combinations('all executions, since', LABELS, (store, labels) =>
    store.listAllExecutions({ ...page, labels, since: 10 }),
  ),
  'all executions of many machines': (store) => store.listAllExecutions({ ...page, machineIds: MANY }),
  ...combinations('all executions of many machines', ['queued', 'failed', 'succeeded'] as const, (store, status) =>
    store.listAllExecutions({ ...page, machineIds: MANY, status }),
  ),
  terminals: (store) => store.listTerminals({ ...page, machineId: 'dm-1', endedAfter: 5 }),
  artifacts: (store) => store.listArtifacts({ ...page, machineId: 'dm-1' }),
  'artifacts of an execution': (store) => store.listArtifacts({ ...page, machineId: 'dm-1', executionId: 'ex-1' }),
  events: (store) => store.listEvents({ executionId: 'ex-1', afterSequence: 1, limit: 50, maxBytes: 1000 }),
  batches: (store) => store.listBatches(page),
  'batches of a key': (store) => store.listBatches({ ...page, createdBy: 'key-1' }),
  'executions of a batch': (store) => store.listBatchExecutions({ ...page, batchId: 'batch-1' }),
  schedules: (store) => store.listSchedules(page),
  'schedules of a key': (store) => store.listSchedules({ ...page, createdBy: 'key-1' }),
  'runs of a schedule': (store) => store.listRuns({ ...page, scheduleId: 'schedule-1' }),
  'API keys': (store) => store.listApiKeys(page),
  'join tokens': (store) => store.listJoinTokens({ ...page, now: 5 }),
  callbacks: (store) => store.listCallbacks(page),
  audit: (store) => store.listAudit(page),
  'audit of a key': (store) => store.listAudit({ ...page, machineIds: MACHINES }),
});

function combinations<Value>(
  list: string,
  values: readonly Value[],
  call: (store: Store, value: Value) => Promise<unknown>,
): Record<string, (store: Store) => Promise<unknown>> {
  const named = values.map((value) => [`${list}, ${JSON.stringify(value)}`, (store: Store) => call(store, value)]);
  return Object.fromEntries(named);
}
