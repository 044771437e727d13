/** A provider, as the lifecycle sees it: what it can do, and what it made of a request. Adapters are in src/server/providers. */
import type { Operation, PROVIDER_STATES } from '../../../core/operation.ts';

/** What a provider is asked; docs/providers.md is normative. */
export interface ProviderRequest {
  version: 1;
  operation: Operation;
  /** The same in every attempt. */
  operation_id: string;
  attempt: number;
  /** Where the machine's agent finds the server. */
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
  /** With a create: lets the machine's agent in. */
  join_token?: string;
}

export type ProviderAnswer =
  | { ok: true; state: (typeof PROVIDER_STATES)[number]; providerRef?: string; expectedMs?: number }
  | { ok: false; message: string; retryable: boolean };

/** What the operator allows of a provider. */
export interface ProviderSettings {
  capabilities: ReadonlySet<Operation>;
  /** Hooks at once. */
  concurrency: number;
  /** Absent: no limit. */
  maxMachines?: number;
  /** For machines that do not say; 0: never. */
  autosleepSeconds: number;
  /** A machine is not put to sleep by itself before it has run for so long. */
  minAwakeMs: number;
  /** What a create may pass on, and the pattern that each has to match. */
  attributes: ReadonlyMap<string, RegExp>;
}

export interface Provider extends ProviderSettings {
  readonly name: string;
  /** Settles with what the provider made of it, within its time limit; never rejects. `signal`: the server stops. */
  run(request: ProviderRequest, signal: AbortSignal): Promise<ProviderAnswer>;
}

/** The providers of this server. */
export interface Providers {
  /** For machines that do not name one; absent: those have none. */
  readonly defaultName?: string;
  readonly byName: ReadonlyMap<string, Provider>;
}
