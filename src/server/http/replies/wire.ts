/** Converts from the domain to the API: camelCase to snake_case, ms to RFC 3339, and only the contract's fields. */
import { digestOf } from '../../../store/audit-command.ts';
import { isTerminal } from '../../../core/execution.ts';
import type { Host } from '../../../core/machines/machine-facts.ts';
import { isRetryable, labelsOf } from '../../../core/machines/machine.ts';
import type { ApiKey, AuditEntry, Execution, ExecutionEvent, JoinToken, Machine } from '../../../store/store.ts';
import type { ApiKeyWire, AuditEntryWire, JoinTokenWire } from '../../../api/admin.ts';
import type { ExecutionEventWire, ExecutionWire } from '../../../api/execution.ts';
import type { MachineDetailWire, MachineInclude, MachineWire } from '../../../api/machine.ts';

/** Formats ms since the epoch as RFC 3339 in UTC with milliseconds. */
export function time(ms: number): string {
  return new Date(ms).toISOString();
}

/** Converts an execution. `retryAfterMs`: time after which to poll it while it waits for its machine. */
export function executionWire(execution: Execution, retryAfterMs: number): ExecutionWire {
  const wire: ExecutionWire = {
    execution_id: execution.executionId,
    machine_id: execution.machineId,
    status: execution.status,
    command: execution.command as string[],
    created_at: time(execution.createdAt),
    expires_at: time(execution.expiresAt),
  };
  if (execution.startedAt !== undefined) wire.started_at = time(execution.startedAt);
  if (execution.completedAt !== undefined) wire.completed_at = time(execution.completedAt);
  if (execution.cwd !== undefined) wire.cwd = execution.cwd;
  if (execution.envKeys.length > 0) wire.env_keys = execution.envKeys as string[];
  if (execution.artifacts !== undefined && execution.artifacts.length > 0) {
    wire.artifacts = execution.artifacts.map(({ artifactId, name }) => ({ artifact_id: artifactId, name }));
  }
  if (execution.status === 'wake_in_progress') wire.retry_after_ms = retryAfterMs;
  if (isTerminal(execution.status)) addEnd(wire, execution);
  if (hasRun(execution)) {
    wire.stdout_bytes = execution.stdout.bytes;
    wire.stderr_bytes = execution.stderr.bytes;
    wire.stdout_truncated = execution.stdout.truncated;
    wire.stderr_truncated = execution.stderr.truncated;
  }
  return wire;
}

/** Converts an event. Its `chunk` is text or base64. */
export function eventWire(event: ExecutionEvent, encoding: 'utf8' | 'base64'): ExecutionEventWire {
  const at = time(event.at);
  if (event.type !== 'lifecycle') {
    return { sequence: event.sequence, type: event.type, at, chunk: event.chunk.toString(encoding) };
  }
  const wire: ExecutionEventWire = { sequence: event.sequence, type: event.type, at, status: event.status };
  addEnd(wire, event);
  return wire;
}

/** Optional fields besides those of the contract. */

/** Converts a machine for a list. */
export function machineWire(machine: Machine, include: MachineInclude = []): MachineWire {
  return { ...machineDetailWire(machine, include), created_at: time(machine.createdAt) };
}

/** Converts a single machine, which has no `created_at`. */
export function machineDetailWire(machine: Machine, include: MachineInclude = []): MachineDetailWire {
  const { host, name, provider } = machine;
  return {
    machine_id: machine.machineId,
    vcpu: machine.facts.vcpu,
    memory_mib: machine.facts.memory_mib,
    storage_gib: machine.facts.storage_gib,
    autosleep_seconds: machine.autosleepSeconds,
    desired_state: machine.desiredState,
    status: {
      phase: machine.phase,
      reason: machine.reason,
      retryable: isRetryable(machine),
      revision: String(machine.revision),
      last_transition_at: time(machine.lastTransitionAt),
      last_progress_at: time(machine.lastProgressAt),
      ...(machine.lastError === undefined ? {} : { last_error: machine.lastError }),
    },
    ...(include.includes('name') && name !== undefined ? { name } : {}),
    ...(include.includes('provider') && provider !== undefined ? { provider } : {}),
    ...(include.includes('labels') ? { labels: labelsOf(machine) } : {}),
    ...(include.includes('facts') && host !== undefined ? { facts: factsWire(host) } : {}),
  };
}

function factsWire({ hostname, os, arch, agentVersion }: Host): NonNullable<MachineWire['facts']> {
  return { hostname, os, arch, agent_version: agentVersion };
}

/** Converts an API key, without its secret. */
export function apiKeyWire(apiKey: ApiKey): ApiKeyWire {
  return {
    api_key_id: apiKey.apiKeyId,
    name: apiKey.name,
    ...(apiKey.user === undefined ? {} : { user: apiKey.user }),
    scopes: apiKey.scopes as ApiKeyWire['scopes'],
    ...(apiKey.machineIds === undefined ? {} : { machine_ids: apiKey.machineIds as string[] }),
    created_at: time(apiKey.createdAt),
    ...(apiKey.expiresAt === undefined ? {} : { expires_at: time(apiKey.expiresAt) }),
    ...(apiKey.lastUsedAt === undefined ? {} : { last_used_at: time(apiKey.lastUsedAt) }),
  };
}

/** Converts a join token, without its secret. */
export function joinTokenWire(token: JoinToken): JoinTokenWire {
  return {
    join_token_id: token.joinTokenId,
    ...(token.machineId === undefined ? {} : { machine_id: token.machineId }),
    reusable: token.reusable,
    created_at: time(token.createdAt),
    expires_at: time(token.expiresAt),
  };
}

/** Converts an entry of the audit trail. */
export function auditEntryWire(entry: AuditEntry): AuditEntryWire {
  return {
    audit_id: String(entry.auditId),
    at: time(entry.at),
    actor: entry.actor,
    source: entry.source,
    action: entry.action,
    ...(entry.machineId === undefined ? {} : { machine_id: entry.machineId }),
    ...(entry.resource === undefined ? {} : { resource: entry.resource }),
    ...commandWire(entry),
    outcome: entry.outcome,
  };
}

/** Returns the argv of an entry; with its digest only if the argv was cut. */
function commandWire({ command, commandDigest }: AuditEntry): Pick<AuditEntryWire, 'command' | 'command_digest'> {
  if (command === undefined) return {};
  const isWhole = commandDigest === undefined || commandDigest === digestOf(command);
  return { command: [...command], ...(isWhole ? {} : { command_digest: commandDigest }) };
}

/** Whether an execution has started. Only then it has byte counts. */
function hasRun(execution: Execution): boolean {
  return execution.status === 'running' || execution.startedAt !== undefined;
}

function addEnd(
  wire: ExecutionWire | ExecutionEventWire,
  end: Pick<Execution, 'exitCode' | 'signal' | 'errorCode' | 'errorMessage'>,
): void {
  if (end.exitCode !== undefined) wire.exit_code = end.exitCode;
  if (end.signal !== undefined) wire.signal = end.signal;
  if (end.errorCode !== undefined) wire.error_code = end.errorCode;
  if (end.errorMessage !== undefined) wire.error_message = end.errorMessage;
}
