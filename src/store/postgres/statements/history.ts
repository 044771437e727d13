/**
 * SQL for the identity of the history that the database is on. A new history begins whenever commits may be missing: on a standby that
 * took over, after a recovery to a point in time, in a restored dump. The name of the WAL file contains the timeline immediately, the
 * control file only after the next checkpoint.
 */
export const HISTORY =
  "(pg_control_system()).system_identifier || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)";
