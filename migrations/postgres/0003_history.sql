-- readable_by: 2
-- The history that the database was on when the agent of a machine last said hello, and the one it is on: its system identifier and
-- its timeline. A failover, a recovery to a point in time or a restored dump begins another, which may lack commits of the last one.
ALTER TABLE machines ADD COLUMN history text NOT NULL
  DEFAULT (pg_control_system()).system_identifier || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8);
ALTER TABLE cluster ADD COLUMN history text NOT NULL
  DEFAULT (pg_control_system()).system_identifier || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8);
-- When a server first saw the history of `cluster`, ms since the epoch; 0: it is the first.
ALTER TABLE cluster ADD COLUMN history_since bigint NOT NULL DEFAULT 0;
