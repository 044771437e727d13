/** Maps sandboxes to machines, which the server's provider creates, or to one existing machine. */
import type { CreateSandboxOptions, SandboxInfo } from '@computesdk/provider';
import { type CreateMachine, Execplane, type Machine, RefusedError } from 'execplane/client';
import type { Sandbox } from './sandbox.ts';

export interface Settings {
  /** Address of the server, such as `https://execplane.example.com`. */
  url: string;
  apiKey: string;
  /** Every sandbox is this machine, which is neither created nor removed. Undefined: the server's provider makes a machine for each. */
  machineId?: string;
  /** Commands run as this user, if the agent runs as root and the machine's policy allows it. */
  user?: string;
}

interface Found {
  sandbox: Sandbox;
  sandboxId: string;
}

/** Marks the machines that this provider made: others are not listed as sandboxes. */
const LABEL = { name: 'made-by', value: 'computesdk' };

export async function createSandbox(settings: Settings, options: CreateSandboxOptions = {}): Promise<Found> {
  const client = clientOf(settings);
  const id = settings.machineId ?? (await client.machines.create(requestOf(options))).machine_id;
  const found = foundIn(settings, client, id);
  const { envs = {}, directory } = options;
  return { ...found, sandbox: { ...found.sandbox, env: envs, directory } };
}

/** Returns null for a machine that does not exist or was removed. */
export async function findSandbox(settings: Settings, sandboxId: string): Promise<Found | null> {
  const client = clientOf(settings);
  try {
    const machine = await client.machines.get(sandboxId);
    return machine.desired_state === 'destroyed' ? null : foundIn(settings, client, sandboxId);
  } catch (error) {
    if (error instanceof RefusedError && error.status === 404) return null;
    throw error;
  }
}

export async function listSandboxes(settings: Settings): Promise<Found[]> {
  const client = clientOf(settings);
  if (settings.machineId !== undefined) return [foundIn(settings, client, settings.machineId)];
  const machines = await Array.fromAsync(client.machines.list({ label: [`${LABEL.name}=${LABEL.value}`], limit: 500 }));
  const present = machines.filter(({ desired_state }) => desired_state !== 'destroyed');
  return present.map(({ machine_id }) => foundIn(settings, client, machine_id));
}

/** Removes the machine, unless it is the one of the settings. */
export async function removeSandbox(settings: Settings, sandboxId: string): Promise<void> {
  if (settings.machineId === undefined) await clientOf(settings).machines.remove(sandboxId);
}

export async function getInfo({ client, machine }: Sandbox): Promise<SandboxInfo> {
  const { status, desired_state } = await machine.get();
  return {
    id: machine.machineId,
    provider: 'execplane',
    status: statusOf(status.phase),
    createdAt: new Date((await createdAt(client, machine.machineId)) ?? status.last_transition_at),
    timeout: 0,
    metadata: { phase: status.phase, reason: status.reason, desiredState: desired_state },
  };
}

function clientOf({ url, apiKey }: Settings): Execplane {
  return new Execplane({ url, apiKey });
}

function foundIn({ user }: Settings, client: Execplane, sandboxId: string): Found {
  const machine = client.machine(sandboxId);
  return { sandboxId, sandbox: { client, machine, env: {}, directory: undefined, user } };
}

/** Returns the request that creates the machine. ComputeSDK has several names for processors and memory. */
function requestOf({ name, cpu, cpus, vcpus, memoryMiB, memoryMb, memory }: CreateSandboxOptions): CreateMachine {
  const vcpu = vcpus ?? cpus ?? cpu;
  const memoryMib = memoryMiB ?? memoryMb ?? memory;
  return {
    labels: { [LABEL.name]: LABEL.value },
    ...(name === undefined ? {} : { name }),
    ...(vcpu === undefined ? {} : { vcpu }),
    ...(memoryMib === undefined ? {} : { memory_mib: memoryMib }),
  };
}

/** Returns the time at which a machine was created, which only the list of machines has. */
async function createdAt(client: Execplane, machineId: string): Promise<string | undefined> {
  for await (const machine of client.machines.list({ limit: 500 })) {
    if (machine.machine_id === machineId) return machine.created_at;
  }
  return undefined;
}

/** Returns the status of a sandbox. One whose machine sleeps is stopped: the next command wakes it. */
function statusOf(phase: Machine['status']['phase']): SandboxInfo['status'] {
  if (phase === 'failed') return 'error';
  return phase === 'sleeping' || phase === 'destroying' || phase === 'destroyed' ? 'stopped' : 'running';
}
