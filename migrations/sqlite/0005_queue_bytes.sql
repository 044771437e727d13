-- What an execution counts for while it waits, in bytes, and the sum of it for each machine: kept by the transactions that change it.
ALTER TABLE requests ADD COLUMN queued_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE machines ADD COLUMN waiting_bytes INTEGER NOT NULL DEFAULT 0;

-- SHA-256, hex, of the argv as JSON: a long argv is kept only in part.
ALTER TABLE audit ADD COLUMN command_digest TEXT;

ALTER TABLE leftovers RENAME TO pending_purge;
ALTER TABLE writable RENAME TO write_probe;
