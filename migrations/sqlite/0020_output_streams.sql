-- Executions with output_mode "stream": their output is kept until it is read, apart from the event log.
-- 'abandoned': nobody read it for too long, so that what comes is bounded as for 'keep'.
ALTER TABLE executions ADD COLUMN output_mode TEXT NOT NULL DEFAULT 'keep'
  CHECK (output_mode IN ('keep', 'stream', 'abandoned'));
-- Bytes of each stream that the reader has said to have: deleted.
ALTER TABLE executions ADD COLUMN stdout_released INTEGER NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN stderr_released INTEGER NOT NULL DEFAULT 0;
-- When a reader was last there.
ALTER TABLE executions ADD COLUMN output_read_at INTEGER;
CREATE INDEX executions_streaming ON executions (output_read_at) WHERE output_mode = 'stream' AND completed_at IS NULL;

-- Found by where they end: that of the first one past an offset. Rows outlive their execution until they are purged.
CREATE TABLE stream_chunks (
  chunk INTEGER PRIMARY KEY,
  execution INTEGER NOT NULL,
  stream TEXT NOT NULL CHECK (stream IN ('stdout', 'stderr')),
  stream_end INTEGER NOT NULL,
  bytes BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX stream_chunks_by_end ON stream_chunks (execution, stream, stream_end);
