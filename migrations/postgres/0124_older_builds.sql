-- readable_by: 0005
-- Two migrations that only add an index did not say that older builds can run against them: a server of such a build did not start again.
UPDATE schema_migrations SET readable_by = 5 WHERE version IN (117, 122);
