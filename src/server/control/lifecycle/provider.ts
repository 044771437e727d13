/** The interface between the lifecycle and a provider: capabilities, requests and answers. Adapters are in src/server/providers. */
import type { Operation, PROVIDER_STATES } from '../../../core/machines/operation.ts';

/** A request to a provider; docs/providers.md is normative. */
export interface ProviderRequest {
  version: 1;
  operation: Operation;
  /** The same for every attempt of an operation. */
  operation_id: string;
  attempt: number;
  /** URL by which the machine's agent reaches the server. */
  server_url: string;
  machine: {
    machine_id: string;
    vcpu: number;
    memory_mib: number;
    storage_gib: number;
    labels: Readonly<Record<string, string>>;
    attributes: Readonly<Record<string, string>>;
    provider_ref?: string;
  };
  /** With a create: the join token for the machine's agent. */
  join_token?: string;
}

export type ProviderAnswer =
  | { ok: true; state: (typeof PROVIDER_STATES)[number]; providerRef?: string; expectedMs?: number }
  | { ok: false; message: string; retryable: boolean };

/** The operator's limits for a provider. */
export interface ProviderSettings {
  capabilities: ReadonlySet<Operation>;
  /** Maximum number of hooks at a time. */
  concurrency: number;
  /** Absent: no limit. */
  maxMachines?: number;
  /** Default autosleep time; 0: never. */
  autosleepSeconds: number;
  /** Time that a machine has to run before autosleep may put it to sleep. */
  minAwakeMs: number;
  /** Attributes that a create may set, each with the pattern that its value has to match. */
  attributes: ReadonlyMap<string, RegExp>;
}

export interface Provider extends ProviderSettings {
  readonly name: string;
  /** Settles with the provider's result, within its time limit; never rejects. `signal`: the server stops. */
  run(request: ProviderRequest, signal: AbortSignal): Promise<ProviderAnswer>;
}

/** The providers of this server. */
export interface Providers {
  /** Provider of machines whose create names none. Absent: those have no provider. */
  readonly defaultName?: string;
  readonly byName: ReadonlyMap<string, Provider>;
}
