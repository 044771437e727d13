/** `execplane agent upgrade` while a command runs: to a working version, and to broken versions. */
import { cpSync, mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { stageProgram } from '../../scripts/package/program.ts';
import { startCounting } from '../helpers/counting.ts';
import { makeDirectory, removeDirectory } from '../helpers/directories.ts';
import { baseEnv, Deployment } from '../helpers/harness.ts';
import { processesWith, Started, until } from '../helpers/processes.ts';

const ROOT = join(import.meta.dirname, '../..');
const PRESENT = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version as string;
const NEXT = '99.0.0';

const staged = makeDirectory('staged');
let opt: string;
let deployment: Deployment;
let agentDir: string;
let agent: Started;
/** Restarts the agent each time that it exits, like a service manager. */
let supervised: boolean;
let log: string;

beforeAll(() => stageProgram({ root: ROOT, to: staged, withNode: false }));
afterAll(() => removeDirectory(staged));

beforeEach(async () => {
  opt = makeDirectory('opt');
  program(PRESENT);
  symlinkSync(`execplane-agent-${PRESENT}`, join(opt, 'execplane'));
  deployment = await Deployment.start({ machine: null });
  agentDir = join(deployment.dir, 'agent');
  log = '';
  supervised = true;
  start({ EXECPLANE_JOIN_TOKEN: await deployment.joinToken({ machine_id: 'dm-test' }) });
  await connected();
});

afterEach(async () => {
  supervised = false;
  await call('stop');
  await agent.exited;
  const left = processesWith(agentDir);
  await deployment.dispose();
  await removeDirectory(opt);
  expect(left).toEqual([]);
});

function start(more: Record<string, string> = {}): void {
  const settings = { EXECPLANE_AGENT_DIR: agentDir, EXECPLANE_URL: deployment.server.url, ...more };
  agent = new Started(join(opt, 'execplane/bin/execplane'), ['agent'], withNode(settings));
  const { child } = agent;
  child.once('exit', () => {
    log += agent.stderr;
    if (supervised) start();
  });
}

/** The `node` in the PATH is the one that runs this test. */
function withNode(more: Record<string, string>): Record<string, string> {
  const env = baseEnv(more);
  return { ...env, PATH: `${join(process.execPath, '..')}:${env['PATH']}` };
}

async function connected(): Promise<void> {
  await until(
    () => `the agent is connected\n${log}${agent.stderr}`,
    async () => {
      const { json } = await deployment.client.get<{ status?: { phase: string } }>('/v1/machines/dm-test');
      return json?.status?.phase === 'running';
    },
  );
}

/** Runs `execplane agent …` of the current version. */
async function call(...args: string[]) {
  const called = new Started(
    join(opt, 'execplane/bin/execplane'),
    ['agent', ...args, '--agent-dir', agentDir],
    withNode({}),
  );
  const exit = await called.end('SIGCONT', 120_000);
  return { ...exit, stdout: called.stdout, stderr: called.stderr };
}

/** Copies the program with another version number. `main`: the source of its main module, for a broken version. */
function program(version: string, main?: string): string {
  const folder = join(opt, `execplane-agent-${version}`);
  mkdirSync(folder);
  // `bin/execplane` must stay a relative link.
  const options = { recursive: true, verbatimSymlinks: true };
  for (const part of ['bin', 'dist']) cpSync(join(staged, part), join(folder, part), options);
  for (const part of ['node_modules', 'native']) symlinkSync(join(staged, part), join(folder, part));
  const manifest = JSON.parse(readFileSync(join(staged, 'package.json'), 'utf8'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, version }));
  if (main !== undefined) writeFileSync(join(folder, 'dist/cli/main.js'), main);
  return folder;
}

const counting = () => startCounting(deployment.client.machine('dm-test'), deployment.dir);
const versionThatRuns = () =>
  JSON.parse(readFileSync(join(agentDir, 'link.pid'), 'utf8')) as { version: string; linked: boolean };
const present = () => readlinkSync(join(opt, 'execplane'));

describe('an upgrade to a version that works', () => {
  test('an agent from a tarball takes over, and the running command loses no byte', async () => {
    const command = await counting();
    const folder = program(NEXT);
    const tarball = new Started('tar', ['-czf', 'next.tar.gz', `execplane-agent-${NEXT}`], withNode({}), opt);
    await tarball.exited;
    rmSync(folder, { recursive: true });
    const { code, stdout, stderr } = await call('upgrade', '--to', join(opt, 'next.tar.gz'));
    expect(stderr).toBe('');
    expect(stdout).toContain(`Version ${NEXT} is connected. Commands have run on.`);
    expect(code).toBe(0);
    expect(present()).toBe(`execplane-agent-${NEXT}`);
    expect(versionThatRuns()).toMatchObject({ version: NEXT, linked: true });
    const output = await command.stop();
    expect(output.stdout).toBe(output.printed);
  });

  test('without a service manager starts the agent again with the same settings', async () => {
    supervised = false;
    const { code, stderr } = await call('upgrade', '--to', program(NEXT));
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(versionThatRuns()).toMatchObject({ version: NEXT, linked: true });
    expect(readFileSync(join(agentDir, 'link.log'), 'utf8')).toContain('"msg":"connected"');
  });
});

/** Programs that print their version and then fail. */
const broken = {
  'ends at once': `if (process.argv[2] === '--version') console.log('${NEXT}'); else process.exit(3);`,
  'hangs at its start': `if (process.argv[2] === '--version') console.log('${NEXT}'); else process.on('SIGTERM', () => {}), setInterval(() => {}, 1000);`,
};

/** The time limit for the supervisor, for the exit of a hanging link, and for the start of the previous version, ms. */
const WAY_BACK_MS = 300_000;

describe('an upgrade to a version that does not start', { timeout: WAY_BACK_MS }, () => {
  test.each(Object.entries(broken))(
    'restores the one before if it %s, and the running command loses no byte',
    async (_, main) => {
      const command = await counting();
      const { code, stderr } = await call('upgrade', '--to', program(NEXT, main), '--within', '2s');
      expect(stderr).toMatch(new RegExp(`not upgraded: .*Version ${PRESENT} is back and connected`));
      expect(code).toBe(1);
      expect(present()).toBe(`execplane-agent-${PRESENT}`);
      expect(versionThatRuns()).toMatchObject({ version: PRESENT, linked: true });
      const { stdout, printed } = await command.stop();
      expect(stdout).toBe(printed);
    },
  );

  test('changes nothing if the program prints no version', async () => {
    const { pid } = agent;
    const { code, stderr } = await call('upgrade', '--to', program(NEXT, 'syntax error'));
    expect(code).toBe(1);
    expect(stderr).toContain('bin/execplane failed');
    expect(agent.pid).toBe(pid);
    expect(present()).toBe(`execplane-agent-${PRESENT}`);
  });
});

test('an upgrade without a connection is refused', async () => {
  await deployment.server.stop();
  await until('it has noticed', () => versionThatRuns().linked === false);
  const { code, stderr } = await call('upgrade', '--to', opt);
  expect(code).toBe(1);
  expect(stderr).toContain('is not connected to its server');
  await deployment.server.restart();
});
