-- JSON: what the agent says of its host, the labels of its settings, and those set through the API.
ALTER TABLE machines ADD COLUMN host TEXT;
ALTER TABLE machines ADD COLUMN agent_labels TEXT;
ALTER TABLE machines ADD COLUMN own_labels TEXT;

-- The labels that hold, to select machines by: those of both, the API's first.
CREATE TABLE machine_labels (
  machine INTEGER NOT NULL REFERENCES machines,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (machine, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX machine_labels_by_value ON machine_labels (key, value, machine);
CREATE INDEX machine_labels_by_key ON machine_labels (key, machine);
