-- readable_by: 2
-- What people call a machine. A removed one keeps its name, and leaves it free for another.
ALTER TABLE machines ADD COLUMN name text;
CREATE UNIQUE INDEX machines_by_name ON machines (name) WHERE name IS NOT NULL AND desired_state <> 'destroyed';
