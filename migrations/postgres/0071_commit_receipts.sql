-- readable_by: 5
-- The last transaction that was committed on each connection of a server. After a crash of the database the id of a transaction that
-- was lost is given out again: that one committed under it is then known by this row only.
CREATE TABLE commit_receipts (
  connection text PRIMARY KEY,
  transaction_id xid8 NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
