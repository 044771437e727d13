-- How many executions were created, how they ended and how fast they started, by minute: for the charts of the console.
CREATE TABLE counts (
  -- Minutes since the epoch.
  minute INTEGER NOT NULL,
  name TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (minute, name)
) STRICT, WITHOUT ROWID;

-- Those that the overview tells of: tried more than once, and still to be delivered.
CREATE INDEX callbacks_failing ON callbacks (attempt) WHERE attempt > 1;
