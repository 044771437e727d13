-- readable_by: 0005
-- How often a machine was started in a row without its agent: the pauses between starts grow with it.
ALTER TABLE machine_operations ADD COLUMN restarts bigint NOT NULL DEFAULT 0;
