-- The end of a stream of which more came than its log keeps, one row a stream. Rows outlive their execution until they are purged.
CREATE TABLE output_tails (
  execution INTEGER NOT NULL,
  stream TEXT NOT NULL CHECK (stream IN ('stdout', 'stderr')),
  bytes BLOB NOT NULL,
  PRIMARY KEY (execution, stream)
) STRICT;
