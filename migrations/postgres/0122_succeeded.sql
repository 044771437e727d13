-- For the list over all machines: the newest that succeeded, however many have failed since.
CREATE INDEX executions_succeeded ON executions (id) WHERE status = 'succeeded';
