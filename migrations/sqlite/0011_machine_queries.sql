-- What the server asks of machines with a provider, by index: their number, those that idle, those whose operation is due.
DROP INDEX machines_by_provider;
CREATE INDEX machines_by_provider ON machines (provider, machine) WHERE provider > '' AND phase <> 'destroyed';
CREATE INDEX machines_autosleep ON machines (machine) WHERE phase = 'running' AND autosleep_seconds > 0;
