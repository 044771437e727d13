-- readable_by: 0005
-- A crash of the database empties this table and would begin its ids again: a server that waits for an answer from before the crash would
-- take that to a later order for its own. Random ids, of as many bits as a double holds exactly, do not come again.
ALTER TABLE inbox ALTER COLUMN id DROP IDENTITY;
ALTER TABLE inbox ALTER COLUMN id SET DEFAULT floor(random() * 9007199254740992)::bigint;
