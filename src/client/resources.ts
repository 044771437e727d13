/** Machines, keys, tokens and the audit trail. Objects and field names are those of the API. */
import type {
  ApiKeyWire,
  CreateApiKey,
  CreatedApiKeyWire,
  CreatedJoinTokenWire,
  CreateJoinToken,
  JoinTokenWire,
} from '../api/admin.ts';
import type { AuditEntryWire, ReleasedAuditWire } from '../api/admin.ts';
import { type ExportOptions, exportAudit } from './http/audit-export.ts';
import type { CreateMachine, MachineDetailWire, MachineInclude, MachineWire, UpdateMachine } from '../api/machine.ts';
import { List, type PageOptions } from './http/pages.ts';
import type { RequestOptions, Transport } from './http/transport.ts';
import {
  API_KEY,
  AUDIT_ENTRY,
  CREATED_API_KEY,
  CREATED_JOIN_TOKEN,
  JOIN_TOKEN,
  MACHINE,
  MACHINE_DETAIL,
  RELEASED_AUDIT,
} from './http/shapes.ts';

abstract class Resource {
  protected readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }
}

export interface MachineSelection {
  label?: readonly string[] | undefined;
  include?: MachineInclude | undefined;
  /** Only the machine with this name. */
  name?: string | undefined;
}

/** `/v1/machines`. */
export class Machines extends Resource {
  /** `label`: only machines that match each one, such as `role=web` or `role`. `include`: more fields in the answer. */
  list({ label, name, include, ...options }: PageOptions & MachineSelection = {}): List<MachineWire> {
    const query = { label, name, include: include?.join(',') };
    return new List(this.transport, { path: '/v1/machines', item: MACHINE, query, options });
  }

  get(
    machineId: string,
    { include, signal }: RequestOptions & { include?: MachineInclude } = {},
  ): Promise<MachineDetailWire> {
    const query = { include: include?.join(',') };
    return this.transport.json('GET', machinePath(machineId), MACHINE_DETAIL, { query, signal });
  }

  /** Returns the machine with this name, if it is not removed. */
  async find(name: string, options: RequestOptions = {}): Promise<MachineWire | undefined> {
    const { items } = await this.list({ name, include: ['name'], ...options });
    return items[0];
  }

  /** Makes a machine, which its provider creates or an agent joins. */
  create(body: CreateMachine = {}, { signal }: RequestOptions = {}): Promise<MachineDetailWire> {
    return this.transport.json('POST', '/v1/machines', MACHINE_DETAIL, { body, signal });
  }

  /** Changes its size, its labels, or when it sleeps. */
  update(machineId: string, body: UpdateMachine, { signal }: RequestOptions = {}): Promise<MachineDetailWire> {
    return this.transport.json('PATCH', machinePath(machineId), MACHINE_DETAIL, { body, signal });
  }

  wake(machineId: string, { signal }: RequestOptions = {}): Promise<MachineDetailWire> {
    return this.transport.json('POST', `${machinePath(machineId)}/wake`, MACHINE_DETAIL, { signal });
  }

  sleep(machineId: string, { signal }: RequestOptions = {}): Promise<MachineDetailWire> {
    return this.transport.json('POST', `${machinePath(machineId)}/sleep`, MACHINE_DETAIL, { signal });
  }

  /** Removes a machine for good, and ends its commands. */
  remove(machineId: string, { signal }: RequestOptions = {}): Promise<MachineDetailWire> {
    return this.transport.json('DELETE', machinePath(machineId), MACHINE_DETAIL, { signal });
  }

  /** Gives its agent a new credential. Refused with the reason `agent_away` if the agent is not connected. */
  rotate(machineId: string, { signal }: RequestOptions = {}): Promise<MachineDetailWire> {
    return this.transport.json('POST', `${machinePath(machineId)}/rotate`, MACHINE_DETAIL, { signal });
  }
}

/** `/v1/api-keys`. */
export class Keys extends Resource {
  /** The answer contains the key itself, only this once. */
  create(body: CreateApiKey, { signal }: RequestOptions = {}): Promise<CreatedApiKeyWire> {
    return this.transport.json('POST', '/v1/api-keys', CREATED_API_KEY, { body, signal });
  }

  list(options: PageOptions = {}): List<ApiKeyWire> {
    return new List(this.transport, { path: '/v1/api-keys', item: API_KEY, options });
  }

  revoke(apiKeyId: string, { signal }: RequestOptions = {}): Promise<ApiKeyWire> {
    return this.transport.json('DELETE', `/v1/api-keys/${encodeURIComponent(apiKeyId)}`, API_KEY, { signal });
  }
}

/** `/v1/join-tokens`: an agent enrols a machine with one. */
export class JoinTokens extends Resource {
  /** The answer contains the token itself, only this once. */
  create(body: CreateJoinToken = {}, { signal }: RequestOptions = {}): Promise<CreatedJoinTokenWire> {
    return this.transport.json('POST', '/v1/join-tokens', CREATED_JOIN_TOKEN, { body, signal });
  }

  list(options: PageOptions = {}): List<JoinTokenWire> {
    return new List(this.transport, { path: '/v1/join-tokens', item: JOIN_TOKEN, options });
  }

  revoke(joinTokenId: string, { signal }: RequestOptions = {}): Promise<JoinTokenWire> {
    return this.transport.json('DELETE', `/v1/join-tokens/${encodeURIComponent(joinTokenId)}`, JOIN_TOKEN, { signal });
  }
}

/** `/v1/audit`: the audit trail, newest first. */
export class Audit extends Resource {
  list(options: PageOptions = {}): List<AuditEntryWire> {
    return new List(this.transport, { path: '/v1/audit', item: AUDIT_ENTRY, options });
  }

  /** Yields all entries after `after`, oldest first. A broken connection is resumed at the entry. */
  export(options: ExportOptions = {}): AsyncGenerator<AuditEntryWire> {
    return exportAudit(this.transport, options);
  }

  /** Lets the server delete the entries up to this one, which an export has sent and which are stored elsewhere. */
  release(through: string, { signal }: RequestOptions = {}): Promise<ReleasedAuditWire> {
    return this.transport.json('POST', '/v1/audit/release', RELEASED_AUDIT, { body: { through }, signal });
  }
}

function machinePath(machineId: string): string {
  return `/v1/machines/${encodeURIComponent(machineId)}`;
}
