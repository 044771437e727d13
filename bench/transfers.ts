/** Measures 1 GB through `execplane exec` and `execplane cp`, through ssh and scp, and through a bare pipe, in the same rounds. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { baseEnv, Deployment, MAIN } from '../test/helpers/harness.ts';
import { type OpenSsh, startOpenSsh } from './peers/openssh.ts';
import { type Contender, measure, print, seconds, TINY } from './rounds.ts';

const BYTES = TINY ? 4_000_000 : Number(process.env['BENCH_MEGABYTES'] ?? 1000) * 1_000_000;
const SOURCE = [process.execPath, fileURLToPath(new URL('./floors/numbered-bytes.ts', import.meta.url)), String(BYTES)];
const FLOOR = 'bare pipe';

const deployment = await Deployment.start({
  server: { EXECPLANE_LOG_LEVEL: 'warn' },
  agent: { EXECPLANE_LOG_LEVEL: 'warn' },
});
const environment = baseEnv({ EXECPLANE_URL: deployment.server.url, EXECPLANE_API_KEY: deployment.server.key });
const execplane = [process.execPath, MAIN];
const machineId = deployment.agent.machineId;
const [from, to] = [join(deployment.dir, 'from'), join(deployment.dir, 'to')];
let ssh: OpenSsh | undefined;

try {
  await makeFile();
  ssh = await startOpenSsh().catch(notInstalled);
  const contenders = [
    reading(FLOOR, SOURCE),
    reading('exec', [...execplane, 'exec', machineId, '--', ...SOURCE]),
    copying('cp to the machine', [...execplane, 'cp', from, `${machineId}:${to}`]),
    copying('cp from the machine', [...execplane, 'cp', `${machineId}:${from}`, to]),
    ...(ssh === undefined ? [] : ofSsh(ssh)),
  ];
  print('transfers', `${BYTES / 1_000_000} MB from a command, and as a file`, await measure(contenders));
} finally {
  await ssh?.close();
  await deployment.dispose();
}

function ofSsh({ options, login }: OpenSsh): Contender[] {
  return [
    reading('ssh', ['ssh', ...options, login, ...SOURCE]),
    copying('scp to the machine', ['scp', ...options, from, `${login}:${to}`]),
    copying('scp from the machine', ['scp', ...options, `${login}:${from}`, to]),
  ];
}

/** Reads and counts the output of the command. */
function reading(name: string, command: readonly string[]): Contender {
  return contender(name, async () => {
    const child = run(command);
    let bytes = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    await succeeds(child);
    if (bytes !== BYTES) throw new Error(`${name}: ${bytes} of ${BYTES} bytes`);
  });
}

function copying(name: string, command: readonly string[]): Contender {
  return contender(name, async () => {
    await succeeds(run(command));
    if (statSync(to).size !== BYTES) throw new Error(`${name}: ${statSync(to).size} of ${BYTES} bytes`);
  });
}

function contender(name: string, task: () => Promise<void>): Contender {
  const figure = { name, unit: 'MB/s', run: async () => BYTES / 1_000_000 / (await seconds(task)) };
  return name === FLOOR ? figure : { ...figure, floor: FLOOR };
}

function run([program = '', ...args]: readonly string[]) {
  return spawn(program, args, { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
}

async function succeeds(child: ReturnType<typeof run>): Promise<void> {
  child.stdout.resume();
  const [code, signal] = await once(child, 'close');
  if (code !== 0) throw new Error(`${child.spawnargs.join(' ')}: ${code ?? signal}`);
}

async function makeFile(): Promise<void> {
  const child = run(SOURCE);
  child.stdout.pipe(createWriteStream(from));
  await once(child, 'close');
}

/** Prints that a peer is missing, so that the table does not look complete. */
function notInstalled(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  process.stdout.write('\ntransfers: ssh and scp are NOT MEASURED, because openssh-server is not installed\n');
}
