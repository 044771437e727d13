/** The facts that the agent reports about its machine. A limit of the agent's cgroup counts as the machine's size. */
import { readFile, statfs } from 'node:fs/promises';
import { arch, availableParallelism, hostname, platform, totalmem } from 'node:os';
import type { MachineFacts } from '../../core/machines/machine-facts.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** Measures the machine. `dir` is on the disk whose size is reported. */
export async function machineFacts(dir: string): Promise<MachineFacts> {
  const cgroup = await ownCgroup();
  const [quota, memoryLimit, disk] = await Promise.all([
    readLimit(cgroup, 'cpu.max'),
    readLimit(cgroup, 'memory.max'),
    statfs(dir).catch(() => undefined),
  ]);
  const cpus = availableParallelism();
  const memory = totalmem();
  return {
    vcpu: Math.min(cpus, cpuShare(quota) ?? cpus),
    memory_mib: Math.floor(Math.min(memory, Number(memoryLimit) || memory) / MIB),
    storage_gib: disk === undefined ? 0 : Math.floor((disk.blocks * disk.bsize) / GIB),
  };
}

/** The host that the agent runs on. */
export function hostFacts(): { hostname: string; os: string; arch: string } {
  return { hostname: hostname().slice(0, 255), os: platform(), arch: arch() };
}

/** CPUs that a cgroup v2 `cpu.max` ("quota period", in µs) allows. Undefined for "max". */
export function cpuShare(text: string | undefined): number | undefined {
  const [quota, period] = (text ?? '').split(' ').map(Number);
  if (!quota || !period) return undefined;
  return Math.round((quota / period) * 100) / 100;
}

async function ownCgroup(): Promise<string> {
  const lines = await readFile('/proc/self/cgroup', 'utf8').catch(() => '');
  return /^0::(.*)$/m.exec(lines)?.[1] ?? '/';
}

async function readLimit(cgroup: string, file: string): Promise<string | undefined> {
  const text = await readFile(`/sys/fs/cgroup${cgroup}/${file}`, 'utf8').catch(() => undefined);
  return text?.trim();
}
