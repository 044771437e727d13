/** The parts of the API's answers that the CLI reads; everything else passes through `--json` untouched. */

export interface Page<T> {
  items: T[];
  next_cursor?: string;
}

export interface Execution {
  execution_id: string;
  machine_id: string;
  status: string;
  command: string[];
  created_at: string;
  started_at?: string;
  completed_at?: string;
  exit_code?: number;
  signal?: number;
  error_code?: string;
  error_message?: string;
}

export interface ExecutionEvent {
  sequence: number;
  type: 'lifecycle' | 'stdout' | 'stderr';
  at: string;
  /** base64: the CLI asks for it. */
  chunk?: string;
  status?: string;
  exit_code?: number;
  signal?: number;
  error_code?: string;
  error_message?: string;
}

export interface Machine {
  machine_id: string;
  vcpu: number;
  memory_mib: number;
  storage_gib: number;
  status: { phase: string; reason: string; last_progress_at: string };
  created_at?: string;
}

export interface ApiKey {
  api_key_id: string;
  name: string;
  scopes: string[];
  machine_ids?: string[];
  created_at: string;
  expires_at?: string;
  last_used_at?: string;
  key?: string;
}

export interface JoinToken {
  join_token_id: string;
  machine_id?: string;
  reusable: boolean;
  created_at: string;
  expires_at: string;
  token?: string;
}

/** Whether a status is an end. */
export function isEnd(status: string | undefined): boolean {
  return status === 'succeeded' || status === 'failed' || status === 'cancelled' || status === 'expired';
}

/** The path of a machine's executions, or of one of them. */
export function executionPath(machineId: string, executionId?: string): string {
  const path = `/v1/machines/${encodeURIComponent(machineId)}/executions`;
  return executionId === undefined ? path : `${path}/${encodeURIComponent(executionId)}`;
}
