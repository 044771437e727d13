-- For the list over all machines: ends that are rare, so that they are found without a walk through the history.
CREATE INDEX executions_unsuccessful ON executions (status) WHERE status IN ('failed', 'cancelled', 'expired');
