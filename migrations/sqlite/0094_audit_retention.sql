-- What may be removed from the audit trail: entries that were exported and released, and entries that are older than a setting.
CREATE TABLE audit_retention (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  -- The last entry that an export has sent, and the last one that its reader has stored.
  exported_through INTEGER NOT NULL DEFAULT 0,
  released_through INTEGER NOT NULL DEFAULT 0,
  -- ms since the epoch.
  deletable_before INTEGER NOT NULL DEFAULT 0,
  CHECK (released_through <= exported_through)
) STRICT;
INSERT INTO audit_retention (only_row) VALUES (1);

DROP TRIGGER audit_is_never_deleted;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
WHEN OLD.id > (SELECT released_through FROM audit_retention) AND OLD.at >= (SELECT deletable_before FROM audit_retention)
BEGIN SELECT raise(ABORT, 'the audit trail is append-only: only released and old entries are deleted'); END;
