/** Sends 10 GB through `execplane exec`: memory of server, link, runner and CLI, and the size of their files, in the first and the last gigabyte. */
import { spawn } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { baseEnv, Deployment, MAIN } from '../test/helpers/harness.ts';
import { say, TINY } from './rounds.ts';

const BYTES = TINY ? 20_000_000 : 10_000_000_000;
const SOURCE = [process.execPath, fileURLToPath(new URL('./floors/numbered-bytes.ts', import.meta.url)), String(BYTES)];
const EVERY_MS = TINY ? 20 : 200;
/** Number of parts. Memory that does not grow is as large in the first part as in the last. */
const PART = 10;

const deployment = await Deployment.start({
  server: { EXECPLANE_LOG_LEVEL: 'warn' },
  agent: { EXECPLANE_LOG_LEVEL: 'warn' },
});
type Sample = Record<'server_mb' | 'link_mb' | 'runner_mb' | 'cli_mb' | 'disk_mb', number>;

try {
  const expected = (await hashed(SOURCE)).sum;
  const samples: { bytes: number; sample: Sample }[] = [];
  const from = performance.now();
  const { sum } = await hashed(
    [process.execPath, MAIN, 'exec', deployment.agent.machineId, '--', ...SOURCE],
    (bytes, cli) => {
      samples.push({ bytes, sample: sampled(cli) });
    },
  );
  const seconds = (performance.now() - from) / 1000;
  if (sum !== expected) throw new Error(`SHA-256 ${sum}, not ${expected}`);
  process.stdout.write(
    `\n${BYTES / 1_000_000} MB through exec, the SHA-256 as it should be: ${samples.length} samples\n`,
  );
  // A part may pass without a sample. Then the nearest sample is used.
  const highest = (part: typeof samples, nearest: (typeof samples)[number] | undefined) =>
    [...part, ...(nearest === undefined ? [] : [nearest])].map(({ sample }) => sample).reduce(higher);
  say(
    'stream-memory',
    `highest in the first ${BYTES / 1_000_000 / PART} MB`,
    highest(samples.filter(isFirst), samples[0]),
  );
  say(
    'stream-memory',
    `highest in the last ${BYTES / 1_000_000 / PART} MB`,
    highest(samples.filter(isLast), samples.at(-1)),
  );
  say('stream-memory', 'speed', { mb_per_s: BYTES / 1_000_000 / seconds });
} finally {
  await deployment.dispose();
}

function isFirst({ bytes }: { bytes: number }): boolean {
  return bytes <= BYTES / PART;
}

function isLast({ bytes }: { bytes: number }): boolean {
  return bytes >= BYTES - BYTES / PART;
}

/** Runs the command. Returns the SHA-256 of its stdout. Calls `look` regularly with the number of bytes so far and the command's pid. */
async function hashed(
  [program = '', ...args]: readonly string[],
  look: (bytes: number, pid: number) => void = () => undefined,
): Promise<{ sum: string }> {
  const env = baseEnv({ EXECPLANE_URL: deployment.server.url, EXECPLANE_API_KEY: deployment.server.key });
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const hash: Hash = createHash('sha256');
  let bytes = 0;
  let looked = Number.NEGATIVE_INFINITY;
  child.stdout.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    bytes += chunk.length;
    if (performance.now() - looked < EVERY_MS) return;
    looked = performance.now();
    if (child.pid !== undefined) look(bytes, child.pid);
  });
  const [code, signal] = await once(child, 'close');
  if (code !== 0) throw new Error(`${program}: ${code ?? signal}`);
  return { sum: hash.digest('hex') };
}

function sampled(cli: number): Sample {
  return {
    server_mb: residentMegabytes(deployment.server.process.pid),
    link_mb: residentMegabytes(deployment.agent.link.pid),
    runner_mb: residentMegabytes(deployment.agent.runnerPid()),
    cli_mb: residentMegabytes(cli),
    disk_mb: bytesBelow(deployment.dir) / 1_000_000,
  };
}

function residentMegabytes(pid: number): number {
  const [, kib] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kib) / 1000);
}

/** Returns the size of the files below a directory. A file that is removed meanwhile does not count. */
function bytesBelow(directory: string): number {
  const sizes = readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) => {
    const found = statSync(join(directory, name), { throwIfNoEntry: false });
    return found?.isFile() === true ? found.blocks * 512 : 0;
  });
  return sizes.reduce((sum, size) => sum + size, 0);
}

function higher(a: Sample, b: Sample): Sample {
  const larger = (name: keyof Sample) => Math.max(a[name], b[name]);
  return {
    server_mb: larger('server_mb'),
    link_mb: larger('link_mb'),
    runner_mb: larger('runner_mb'),
    cli_mb: larger('cli_mb'),
    disk_mb: larger('disk_mb'),
  };
}
