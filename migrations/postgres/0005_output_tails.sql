-- The end of a stream of which more came than its log keeps, one row a stream.
CREATE TABLE output_tails (
  execution_id bigint NOT NULL REFERENCES executions ON DELETE CASCADE,
  stream text NOT NULL CHECK (stream IN ('stdout', 'stderr')),
  bytes bytea NOT NULL,
  PRIMARY KEY (execution_id, stream)
);
