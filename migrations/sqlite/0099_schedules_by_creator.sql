-- For the list of a key that is limited to some machines, which sees its own schedules.
CREATE INDEX schedules_by_creator ON schedules (created_by);
