/** The embedded store: one SQLite file, one writer, one server. */
import type { Machine, Store } from '../store.ts';
import { apiKeyMethods } from './api-keys.ts';
import { artifactMethods } from './artifacts.ts';
import { auditArchiveMethods, auditMethods } from './audit.ts';
import { batchMethods } from './batches/batches.ts';
import { callbackMethods } from './callbacks.ts';
import type { Context } from './tables/context.ts';
import { countMethods, maintenanceMethods } from './maintenance.ts';
import { type Database, openDatabase } from './file/database.ts';
import { deadlineMethods, dispatchMethods } from './dispatch.ts';
import { enrolmentMethods } from './enrolment.ts';
import { createEventLog } from './tables/event-log.ts';
import { executionMethods } from './executions.ts';
import { createOutputTails } from './tables/output-tails.ts';
import { createStreamChunks } from './tables/stream-chunks.ts';
import { outputMethods } from './output.ts';
import { forgetConnections, machineConnectionMethods, machineMethods } from './machines.ts';
import { lifecycleMethods } from './lifecycle.ts';
import { MachineTable } from './tables/machine-table.ts';
import { migrate } from './file/migrations.ts';
import { takeOwnership } from './file/owner.ts';
import { scheduleMethods } from './schedules.ts';
import { retentionMethods } from './retention.ts';
import { createCacheRelease } from './file/cache-release.ts';
import { createSecretSweep } from './file/secret-sweep.ts';
import { SqliteTransaction } from './tables/transaction.ts';
import type { CommitStatistics } from '../roles/maintenance.ts';
import { Writer } from './file/writer.ts';

export interface SqliteStoreOptions {
  /** The database file. It is created, with its directory, if it is missing. */
  path: string;
  /** Time to wait for another server that has the file, ms. Default: 10 s. */
  ownershipWaitMs?: number;
  /** ms since the epoch: the time of opening, from which on machines count as offline. */
  now?: number;
  /** Called for every commit, after its writes have settled; for metrics. Must not throw. */
  onCommit?: (statistics: CommitStatistics) => void;
  /** Called for every machine that a commit changed, in the order of the commits. Must not throw. */
  onMachine?: (machine: Machine) => void;
}

/**
 * Opens the store and brings its schema up to date. Throws DatabaseInUseError, SchemaTooNewError, or the error of SQLite for the file.
 */
export function openSqliteStore({
  path,
  ownershipWaitMs = 10_000,
  now = Date.now(),
  onCommit,
  onMachine,
}: SqliteStoreOptions): Store {
  const owner = takeOwnership(path, ownershipWaitMs);
  try {
    const store = buildStore(openDatabase(path), { now, onCommit, onMachine });
    return { ...store, close: () => store.close().finally(() => owner.close()) };
  } catch (error) {
    owner.close();
    throw error;
  }
}

/** Returns the store on an open database. It closes the database when it is closed, or at once if this throws. */
export function buildStore(db: Database, { now, ...listeners }: { now: number } & CommitListeners): Store {
  try {
    migrate(db, now);
    forgetConnections(db, now);
    return assemble(db, listeners);
  } catch (error) {
    db.close();
    throw error;
  }
}

/** The listeners for commits. */
interface CommitListeners {
  onCommit?: SqliteStoreOptions['onCommit'] | undefined;
  onMachine?: SqliteStoreOptions['onMachine'] | undefined;
}

function assemble(db: Database, { onCommit, onMachine = () => {} }: CommitListeners): Store {
  const sweep = createSecretSweep(db);
  const cache = createCacheRelease(db);
  const onIdle = () => {
    sweep.idle();
    cache.idle();
  };
  const writer = new Writer(db, { onCommit, onIdle });
  const chunks = createStreamChunks(db);
  const tails = createOutputTails(db);
  const log = createEventLog(db, chunks);
  const machines = new MachineTable(db);
  const context: Context = {
    db,
    async write(work, bytes, withinMs) {
      const { result, changed } = await writer.write(() => machines.collect(work), bytes, withinMs);
      changed.forEach(onMachine);
      return result;
    },
    log,
    chunks,
    tails,
    tx: new SqliteTransaction(db, { log, chunks, tails, machines }, sweep.wiped),
    machines,
  };
  return {
    ...executionMethods(context),
    ...outputMethods(context),
    ...artifactMethods(context),
    ...dispatchMethods(context),
    ...deadlineMethods(context),
    ...machineMethods(context),
    ...machineConnectionMethods(context),
    ...lifecycleMethods(context),
    ...batchMethods(context),
    ...enrolmentMethods(context),
    ...apiKeyMethods(context),
    ...auditMethods(context),
    ...auditArchiveMethods(context),
    ...callbackMethods(context),
    ...countMethods(context),
    ...maintenanceMethods(context),
    ...retentionMethods(context),
    ...scheduleMethods(context),
    async close() {
      await writer.close();
      sweep.close();
      cache.close();
      db.close();
    },
  };
}
