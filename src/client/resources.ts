/** The rest of the API. Objects and field names are those of the API. */
import type {
  ApiKeyWire,
  CreateApiKey,
  CreatedApiKeyWire,
  CreatedJoinTokenWire,
  CreateJoinToken,
  JoinTokenWire,
} from '../api/admin.ts';
import type { AuditEntryWire } from '../api/admin.ts';
import type { CreateMachine, MachineWire, UpdateMachine } from '../api/machine.ts';
import { List, type PageOptions } from './http/pages.ts';
import type { Transport } from './http/transport.ts';

abstract class Resource {
  protected readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }
}

/** More fields for the answer: `name`, `labels`, `facts`, `reason`. */
export type MachineInclude = readonly ('name' | 'labels' | 'facts' | 'reason')[];

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
    return new List(this.transport, '/v1/machines', options, { label, name, include: include?.join(',') });
  }

  get(machineId: string, { include }: { include?: MachineInclude } = {}): Promise<MachineWire> {
    const query = { include: include?.join(',') };
    return this.transport.json('GET', machinePath(machineId), { query });
  }

  /** Returns the machine with this name, if it is not removed. */
  async find(name: string): Promise<MachineWire | undefined> {
    const { items } = await this.list({ name, include: ['name'] });
    return items[0];
  }

  /** Makes a machine, which its provider creates or an agent joins. */
  create(body: CreateMachine = {}): Promise<MachineWire> {
    return this.transport.json('POST', '/v1/machines', { body });
  }

  /** Changes its size, its labels, or when it sleeps. */
  update(machineId: string, body: UpdateMachine): Promise<MachineWire> {
    return this.transport.json('PATCH', machinePath(machineId), { body });
  }

  wake(machineId: string): Promise<MachineWire> {
    return this.transport.json('POST', `${machinePath(machineId)}/wake`);
  }

  sleep(machineId: string): Promise<MachineWire> {
    return this.transport.json('POST', `${machinePath(machineId)}/sleep`);
  }

  /** Removes it for good, and ends what runs there. */
  remove(machineId: string): Promise<MachineWire> {
    return this.transport.json('DELETE', machinePath(machineId));
  }

  /** Gives its agent a new credential. Refused with the reason `agent_away` if the agent is not connected. */
  rotate(machineId: string): Promise<MachineWire> {
    return this.transport.json('POST', `${machinePath(machineId)}/rotate`);
  }
}

/** `/v1/api-keys`. */
export class Keys extends Resource {
  /** The answer contains the key itself, only this once. */
  create(body: CreateApiKey): Promise<CreatedApiKeyWire> {
    return this.transport.json('POST', '/v1/api-keys', { body });
  }

  list(options: PageOptions = {}): List<ApiKeyWire> {
    return new List(this.transport, '/v1/api-keys', options);
  }

  revoke(apiKeyId: string): Promise<ApiKeyWire> {
    return this.transport.json('DELETE', `/v1/api-keys/${encodeURIComponent(apiKeyId)}`);
  }
}

/** `/v1/join-tokens`: an agent enrols a machine with one. */
export class JoinTokens extends Resource {
  /** The answer contains the token itself, only this once. */
  create(body: CreateJoinToken = {}): Promise<CreatedJoinTokenWire> {
    return this.transport.json('POST', '/v1/join-tokens', { body });
  }

  list(options: PageOptions = {}): List<JoinTokenWire> {
    return new List(this.transport, '/v1/join-tokens', options);
  }

  revoke(joinTokenId: string): Promise<JoinTokenWire> {
    return this.transport.json('DELETE', `/v1/join-tokens/${encodeURIComponent(joinTokenId)}`);
  }
}

/** `/v1/audit`: the audit trail, newest first. */
export class Audit extends Resource {
  list(options: PageOptions = {}): List<AuditEntryWire> {
    return new List(this.transport, '/v1/audit', options);
  }
}

function machinePath(machineId: string): string {
  return `/v1/machines/${encodeURIComponent(machineId)}`;
}
