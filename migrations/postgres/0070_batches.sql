-- readable_by: 5
-- One command on many machines. What is to be run is sealed, and wiped when the batch is over.
CREATE TABLE batches (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  public_id text NOT NULL UNIQUE,
  status text NOT NULL CHECK (status IN ('running', 'succeeded', 'failed', 'cancelled')),
  cancelled boolean NOT NULL DEFAULT false,
  sealed_request bytea,
  max_concurrency bigint NOT NULL,
  max_failures bigint,
  created_by text NOT NULL,
  created_at bigint NOT NULL,
  completed_at bigint,
  -- The server that makes its executions: when that is taken for dead, another one goes on.
  replica_id bigint
);
CREATE INDEX batches_running ON batches (id) WHERE status = 'running';

-- Its machines, in order. `outcome`: the end of its execution, or why it never got one; kept when the execution is deleted.
CREATE TABLE batch_members (
  batch_id bigint NOT NULL REFERENCES batches,
  position bigint NOT NULL,
  machine_id bigint NOT NULL REFERENCES machines,
  execution_id bigint,
  outcome text,
  PRIMARY KEY (batch_id, position)
);
CREATE INDEX batch_members_open ON batch_members (batch_id, position) WHERE outcome IS NULL;
