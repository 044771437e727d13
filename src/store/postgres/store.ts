/** The store on PostgreSQL, for many servers at once. */
import type { Machine, Store } from '../store.ts';
import { apiKeyMethods } from './api-keys.ts';
import { artifactMethods } from './artifacts.ts';
import { auditMethods } from './audit.ts';
import { batchMethods } from './batches/batches.ts';
import { callbackMethods } from './callbacks.ts';
import { clusterMethods } from './cluster.ts';
import { type Context, Writers } from './context.ts';
import { countMethods, maintenanceMethods } from './maintenance.ts';
import { deadlineMethods, dispatchMethods } from './dispatch.ts';
import { enrolmentMethods } from './enrolment.ts';
import { eventMethods, executionMethods } from './executions.ts';
import type { CommitStatistics } from '../roles/maintenance.ts';
import { lifecycleMethods } from './lifecycle.ts';
import { connectionMethods, machineMethods } from './machines.ts';
import { prepareSchema } from './connections/schema.ts';
import { scheduleMethods } from './schedules/schedules.ts';
import { outputMethods } from './output.ts';
import { Replica } from './cluster/replica.ts';
import { Readers } from './connections/slots.ts';
import { Transactions } from './connections/transactions.ts';
import { parseDatabaseUrl } from './connections/url.ts';

/** Numbers of connections: one for each writer, some shared by reads, and a pool for all other writes. */
const WRITERS = 2;
const READERS = 2;
const TRANSACTIONS = 3;

export interface PostgresStoreOptions {
  url: string;
  /** The version of this program. */
  version: string;
  /** ms since the epoch, for tests. Absent: the clock of the database. */
  now?: () => number;
  /** Called for every group commit, after its writes have settled; for metrics. Must not throw. */
  onCommit?: (statistics: CommitStatistics) => void;
  /** Called for every machine that changed, after the commit. Must not throw. */
  onMachine?: (machine: Machine) => void;
}

/**
 * Opens the store, brings its schema up to date and registers this server. Rejects with DatabaseUrlError, SchemaTooNewError,
 * StoreUnavailableError.
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<Store> {
  const { url, version, now, onCommit, onMachine } = options;
  const address = parseDatabaseUrl(url);
  await prepareSchema(address);
  const transactions = new Transactions(address, TRANSACTIONS);
  const replica = new Replica({ transactions, version, now });
  const readers = new Readers(address, READERS);
  const writers = new Writers(address, WRITERS, { onCommit, onMachine });
  const context: Context = {
    read: (statement) => readers.query(statement),
    writers,
    transactions,
    replicaId: () => replica.id,
  };
  try {
    await replica.start();
  } catch (error) {
    await transactions.close();
    throw error;
  }
  const { drain: drainAudit, ...audit } = auditMethods(context);
  return {
    ...methodsOf(context),
    cluster: clusterMethods(context, replica, address),
    ...audit,
    async close() {
      await drainAudit();
      await writers.close();
      await replica.stop();
      await Promise.all([transactions.close(), readers.close()]);
    },
  };
}

function methodsOf(context: Context) {
  return {
    ...executionMethods(context),
    ...eventMethods(context),
    ...dispatchMethods(context),
    ...deadlineMethods(context),
    ...machineMethods(context),
    ...connectionMethods(context),
    ...lifecycleMethods(context),
    ...outputMethods(context),
    ...artifactMethods(context),
    ...batchMethods(context),
    ...countMethods(context),
    ...enrolmentMethods(context),
    ...apiKeyMethods(context),
    ...callbackMethods(context),
    ...maintenanceMethods(context),
    ...scheduleMethods(context),
  };
}
