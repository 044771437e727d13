/**
 * The interface between the server and its database: use cases, one role per file. Each method is one transaction, whose result is on disk
 * when the promise resolves. It rejects only with StoreUnavailableError, or for a fault of the server. Times are ms since the epoch.
 */
import type { ArtifactStore } from './roles/artifacts.ts';
import type { AuditStore } from './roles/audit.ts';
import type { BatchStore } from './roles/batches/batches.ts';
import type { CallbackStore } from './roles/callbacks.ts';
import type { ClusterStore } from './roles/cluster.ts';
import type { CountStore, MaintenanceStore } from './roles/maintenance.ts';
import type { DeadlineStore, DispatchStore, ReportStore } from './roles/dispatch.ts';
import type { EnrolmentStore } from './roles/enrolment.ts';
import type { EventStore, ExecutionStore } from './roles/executions.ts';
import type { IdempotencyStore } from './roles/idempotency.ts';
import type { KeyStore } from './roles/keys.ts';
import type { LifecycleStore } from './roles/lifecycle.ts';
import type { ConnectionStore, MachineStore } from './roles/machines.ts';
import type { OutputStore } from './roles/output.ts';
import type { ScheduleStore } from './roles/batches/schedules.ts';

export type * from './roles/artifacts.ts';
export type * from './roles/audit.ts';
export type * from './roles/batches/batches.ts';
export type * from './roles/callbacks.ts';
export type * from './roles/cluster.ts';
export type * from './roles/maintenance.ts';
export type * from './roles/dispatch.ts';
export type * from './roles/enrolment.ts';
export type * from './roles/executions.ts';
export type * from './roles/idempotency.ts';
export type * from './roles/keys.ts';
export type * from './roles/lifecycle.ts';
export type * from './roles/machines.ts';
export type * from './roles/maintenance.ts';
export type * from './roles/output.ts';
export type * from './roles/pages.ts';
export type * from './roles/dispatch.ts';
export type * from './roles/batches/schedules.ts';

/**
 * The database cannot be written or read now (disk full, I/O error, locked, unreachable): try again later. Nothing was written, with one
 * exception: PostgreSQL was lost during a COMMIT and did not come back in time to be asked about it. Then either the whole transaction
 * was written, or none of it. A retry has to be safe in both cases: by an Idempotency-Key, the number of a report, or an epoch.
 */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
}

/** The requested bytes of the stream have been released by another reader. */
export class OutputReleasedError extends Error {
  override readonly name = 'OutputReleasedError';
}

/** All roles of one database. */
export interface Store
  extends ExecutionStore,
    EventStore,
    OutputStore,
    IdempotencyStore,
    DispatchStore,
    DeadlineStore,
    ReportStore,
    ArtifactStore,
    BatchStore,
    MachineStore,
    ConnectionStore,
    LifecycleStore,
    EnrolmentStore,
    KeyStore,
    AuditStore,
    CallbackStore,
    CountStore,
    MaintenanceStore,
    ScheduleStore {
  /** Absent: the database has one server. */
  readonly cluster?: ClusterStore;
  /** Settles when all submitted writes are on disk and the database is closed. */
  close(): Promise<void>;
}
