/** The fields of the answers. Made by "npm run checks" from the schemas of src/api; not to be edited. */

import type { ApiKeyWire, AuditEntryWire, CreatedApiKeyWire, CreatedJoinTokenWire, JoinTokenWire, ReleasedAuditWire } from '../../api/admin.ts';
import type { ArtifactWire } from '../../api/artifact.ts';
import type { BatchWire } from '../../api/batch.ts';
import type { ExecutionEventWire, ExecutionWire } from '../../api/execution.ts';
import type { ExecutionOutputWire } from '../../api/output.ts';
import type { HealthWire } from '../../api/health.ts';
import type { MachineDetailWire, MachineWire } from '../../api/machine.ts';
import type { SchedulePreviewWire, ScheduleWire } from '../../api/schedules/schedule.ts';
import type { ScheduleRunWire } from '../../api/schedules/run.ts';
import type { StdinResultWire } from '../../api/interaction.ts';
import type { TerminalTicketWire, TerminalWire } from '../../api/terminal.ts';
import type { Shape } from './shape.ts';

export const API_KEY: Shape<ApiKeyWire> = {"api_key_id":"string","name":"string","user?":"string","scopes":["string"],"machine_ids?":["string"],"created_at":"string","expires_at?":"string","last_used_at?":"string"};

export const ARTIFACT: Shape<ArtifactWire> = {"artifact_id":"string","machine_id":"string","execution_id":"string","name":"string","size_bytes":"number","created_at":"string","mime_type":"string","sha256":"string","download_url":"string","expires_at?":"string"};

export const AUDIT_ENTRY: Shape<AuditEntryWire> = {"audit_id":"string","at":"string","actor":"string","source":"string","action":"string","machine_id?":"string","resource?":"string","command?":["string"],"command_digest?":"string","outcome":"string"};

export const BATCH: Shape<BatchWire> = {"batch_id":"string","status":"string","command?":["string"],"counts":{"pending?":"number","wake_in_progress?":"number","queued?":"number","running?":"number","succeeded?":"number","failed?":"number","cancelled?":"number","expired?":"number"},"created_at":"string","completed_at?":"string"};

export const CREATED_API_KEY: Shape<CreatedApiKeyWire> = {"api_key_id":"string","name":"string","user?":"string","scopes":["string"],"machine_ids?":["string"],"created_at":"string","expires_at?":"string","last_used_at?":"string","key?":"string"};

export const CREATED_JOIN_TOKEN: Shape<CreatedJoinTokenWire> = {"join_token_id":"string","machine_id?":"string","reusable":"boolean","created_at":"string","expires_at":"string","token?":"string"};

export const EXECUTION_EVENT: Shape<ExecutionEventWire> = {"sequence":"number","type":"string","at":"string","chunk?":"string","status?":"string","exit_code?":"number","signal?":"number","error_code?":"string","error_message?":"string"};

export const EXECUTION_OUTPUT: Shape<ExecutionOutputWire> = {"execution_id":"string","stdout":"string","stderr":"string","stdout_bytes":"number","stderr_bytes":"number","stdout_tail?":"string","stderr_tail?":"string","stdout_truncated":"boolean","stderr_truncated":"boolean"};

export const EXECUTION: Shape<ExecutionWire> = {"execution_id":"string","machine_id":"string","status":"string","command":["string"],"created_at":"string","started_at?":"string","completed_at?":"string","cwd?":"string","env_keys?":["string"],"exit_code?":"number","signal?":"number","error_code?":"string","error_message?":"string","expires_at":"string","retry_after_ms?":"number","stdout_bytes?":"number","stderr_bytes?":"number","stdout_truncated?":"boolean","stderr_truncated?":"boolean","artifacts?":[{"artifact_id":"string","name":"string"}],"output?":{"execution_id":"string","stdout":"string","stderr":"string","stdout_bytes":"number","stderr_bytes":"number","stdout_tail?":"string","stderr_tail?":"string","stdout_truncated":"boolean","stderr_truncated":"boolean"},"usage?":{"cpu_user_ms":"number","cpu_system_ms":"number","max_memory_bytes":"number","io_read_bytes?":"number","io_write_bytes?":"number"},"reason?":{"message":"string","since":"string","until?":"string","next?":"string"}};

export const HEALTH: Shape<HealthWire> = {"status":"string"};

export const JOIN_TOKEN: Shape<JoinTokenWire> = {"join_token_id":"string","machine_id?":"string","reusable":"boolean","created_at":"string","expires_at":"string"};

export const MACHINE_DETAIL: Shape<MachineDetailWire> = {"machine_id":"string","vcpu":"number","memory_mib":"number","storage_gib":"number","autosleep_seconds":"number","desired_state":"string","status":{"phase":"string","reason":"string","retryable":"boolean","revision":"string","last_transition_at":"string","last_progress_at":"string","last_error?":"string"},"provider?":"string","reason?":{"message":"string","since":"string","until?":"string","next?":"string"},"name?":"string","labels?":{"*":"string"},"facts?":{"hostname":"string","os":"string","arch":"string","agent_version":"string"}};

export const MACHINE: Shape<MachineWire> = {"machine_id":"string","vcpu":"number","memory_mib":"number","storage_gib":"number","autosleep_seconds":"number","desired_state":"string","status":{"phase":"string","reason":"string","retryable":"boolean","revision":"string","last_transition_at":"string","last_progress_at":"string","last_error?":"string"},"provider?":"string","reason?":{"message":"string","since":"string","until?":"string","next?":"string"},"name?":"string","labels?":{"*":"string"},"facts?":{"hostname":"string","os":"string","arch":"string","agent_version":"string"},"created_at":"string"};

export const SCHEDULE_PREVIEW: Shape<SchedulePreviewWire> = {"next_runs":["string"]};

export const RELEASED_AUDIT: Shape<ReleasedAuditWire> = {"through":"string"};

export const SCHEDULE_RUN: Shape<ScheduleRunWire> = {"due_at":"string","decided_at":"string","outcome":"string","reason?":"string","batch?":{"batch_id":"string","status":"string","command?":["string"],"counts":{"pending?":"number","wake_in_progress?":"number","queued?":"number","running?":"number","succeeded?":"number","failed?":"number","cancelled?":"number","expired?":"number"},"created_at":"string","completed_at?":"string"}};

export const SCHEDULE: Shape<ScheduleWire> = {"schedule_id":"string","name?":"string","cron?":"string","time_zone?":"string","every_seconds?":"number","selector":{"labels?":{"*":"string"},"machine_ids?":["string"]},"overlap":"string","catch_up":"boolean","max_concurrency":"number","max_failures?":"number","command":["string"],"env_keys?":["string"],"cwd?":"string","user?":"string","timeout_ms?":"number","paused":"boolean","paused_reason?":"string","created_at":"string","next_run_at?":"string","next_runs?":["string"]};

export const STDIN_RESULT: Shape<StdinResultWire> = {"execution_id":"string","offset?":"number","closed?":"boolean"};

export const TERMINAL_TICKET: Shape<TerminalTicketWire> = {"stream_url":"string","expires_at":"string"};

export const TERMINAL: Shape<TerminalWire> = {"terminal_id":"string","machine_id":"string","status":"string","width":"number","height":"number","created_at":"string","protocol?":"string","stream_url?":"string","ready_at?":"string","expires_at?":"string","retry_after_ms?":"number","error_code?":"string","reason?":{"message":"string","since":"string","until?":"string","next?":"string"},"error_message?":"string"};
