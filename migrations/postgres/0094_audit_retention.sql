-- What may be removed from the audit trail: entries that were exported and released, and entries that are older than a setting.
CREATE TABLE audit_retention (
  only_row integer PRIMARY KEY CHECK (only_row = 1),
  -- The last entry that an export has sent, and the last one that its reader has stored.
  exported_through bigint NOT NULL DEFAULT 0,
  released_through bigint NOT NULL DEFAULT 0,
  -- ms since the epoch.
  deletable_before bigint NOT NULL DEFAULT 0,
  CHECK (released_through <= exported_through)
);

DROP TRIGGER audit_is_never_changed ON audit;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE OR TRUNCATE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM audit_retention WHERE OLD.id <= released_through OR OLD.at < deletable_before) THEN RETURN OLD; END IF;
  RAISE EXCEPTION 'the audit trail is append-only: only released and old entries are deleted';
END $$;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_kept();
