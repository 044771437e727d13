/** SQL that selects machines. */

/** Append a WHERE clause whose columns begin with `m.`. */
export const SELECT_MACHINE = `SELECT m.*, o.number AS operation_number, o.name AS operation_name,
  o.attempt AS operation_attempt, o.running AS operation_running, o.due_at AS operation_due_at,
  o.restarts AS operation_restarts
  FROM machines m LEFT JOIN machine_operations o ON o.machine_id = m.id`;
