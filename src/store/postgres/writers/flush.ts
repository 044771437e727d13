/** The second round trip of a batch: writes the changes of all its use cases in a few statements. */
import type { Statement } from '../connections/statement-group.ts';
import { bulk, each, insertStatement, rows, rowsStatement } from '../statements/bulk.ts';
import type { Batch, Touched } from './batch.ts';
import { artifactStatements } from './flush-artifacts.ts';
import { insertExecutions, updateExecutions } from './flush-executions.ts';
import { machineStatements } from './flush-machines.ts';
import { outputStatements } from './flush-output.ts';

/** Returns the statements that write the batch. */
export function flushStatements(batch: Batch): Statement[] {
  const all = [...batch.executions.values()];
  const changed = all.filter((touched) => touched.changed);
  const untouched = all.filter((touched) => !touched.changed && touched.writtenBy !== undefined);
  const created = changed.filter((touched) => touched.newExecution !== undefined);
  const updated = changed.filter((touched) => touched.newExecution === undefined);
  const ended = changed.filter((touched) => touched.ended);
  return [
    ...machineStatements(batch.machines),
    ...insertExecutions(created),
    ...sealStatements(created),
    ...updateExecutions(updated, untouched),
    ...outputStatements(changed),
    ...bulk(
      'wipe-inputs',
      WIPE,
      ended.filter(({ newExecution }) => newExecution === undefined).map(({ record }) => [record.key]),
    ),
    ...each(INSERT_CALLBACKS, ended.flatMap(callbackOf)),
    ...artifactStatements(batch.artifacts),
    ...keyStatements(batch),
  ];
}

const INSERT_SEALED = {
  into: 'INSERT INTO sealed_inputs (execution_id, sealed) VALUES',
  types: ['bigint', 'bytea'],
};

/** Stores sealed inputs, except for executions that ended in the batch that created them. */
function sealStatements(created: readonly Touched[]): Statement[] {
  const sealed = created.flatMap(({ record, newExecution, ended }) =>
    newExecution?.sealedInput === undefined || ended ? [] : [[record.key, newExecution.sealedInput]],
  );
  return rows(INSERT_SEALED, sealed);
}

const WIPE = 'DELETE FROM sealed_inputs WHERE execution_id = ANY($1::bigint[])';
const INSERT_CALLBACKS = insertStatement('insert-callbacks', 'callbacks', {
  execution_id: 'bigint',
  created_at: 'bigint',
  due_at: 'bigint',
});

function callbackOf({ record: { key, execution } }: Touched): unknown[][] {
  return execution.callbackUrl === undefined ? [] : [[key, execution.completedAt, execution.completedAt]];
}

const FREE_KEYS = 'DELETE FROM idempotency WHERE (api_key, key) IN (SELECT * FROM unnest($1::text[], $2::text[]))';
const BIND_KEYS = rowsStatement(
  'bind-keys',
  { api_key: 'text', key: 'text', digest: 'bytea', resource: 'text', expires_at: 'bigint' },
  (rows) => `UPDATE idempotency i SET digest = u.digest, resource = u.resource, expires_at = u.expires_at
    FROM ${rows} WHERE i.api_key = u.api_key AND i.key = u.key`,
);

/** Updates or deletes the rows of Idempotency-Keys. Loading has inserted a row for each key of the batch. */
function keyStatements(batch: Batch): Statement[] {
  const changed = [...batch.keys.values()].filter((key) => key.changed);
  const free = changed.flatMap(({ apiKeyId, key, bound }) => (bound === undefined ? [[apiKeyId, key]] : []));
  const bound = changed.flatMap(({ apiKeyId, key, bound: value }) =>
    value === undefined ? [] : [[apiKeyId, key, value.digest, value.resource, value.expiresAt]],
  );
  return [...bulk('free-keys', FREE_KEYS, free), ...each(BIND_KEYS, bound)];
}
