/** `execplane agent upgrade` while a command runs: to a working version, and to broken versions. Two tests run at a time. */
import { cpSync, mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, test as base, beforeAll, describe, expect } from 'vitest';
import { stageProgram } from '../../scripts/package/program.ts';
import { type Counting, startCounting } from '../helpers/counting.ts';
import { makeDirectory, removeDirectory } from '../helpers/directories.ts';
import { baseEnv, Deployment } from '../helpers/harness.ts';
import { processesWith, Started, until } from '../helpers/processes.ts';

const ROOT = join(import.meta.dirname, '../..');
const PRESENT = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version as string;
const NEXT = '99.0.0';
const test = base.concurrent;

const staged = makeDirectory('staged');

beforeAll(() => stageProgram({ root: ROOT, to: staged, withNode: false }));
afterAll(() => removeDirectory(staged));

/** A server, and a connected agent that was started from an installed program. */
class Installation implements AsyncDisposable {
  /** The folder with the installed versions. */
  readonly opt = makeDirectory('opt');
  readonly deployment: Deployment;
  readonly agentDir: string;
  agent: Started;
  /** Whether the agent is restarted each time that it exits, as by a service manager. */
  supervised = true;
  #log = '';

  private constructor(deployment: Deployment, joinToken: string) {
    this.deployment = deployment;
    this.agentDir = join(deployment.dir, 'agent');
    this.program(PRESENT);
    symlinkSync(`execplane-agent-${PRESENT}`, join(this.opt, 'execplane'));
    this.agent = this.#start({ EXECPLANE_JOIN_TOKEN: joinToken });
  }

  static async start(): Promise<Installation> {
    const deployment = await Deployment.start({ machine: null });
    const installation = new Installation(deployment, await deployment.joinToken({ machine_id: 'dm-test' }));
    await installation.#connected();
    return installation;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.supervised = false;
    await this.call('stop');
    await this.agent.exited;
    const left = processesWith(this.agentDir);
    await this.deployment.dispose();
    await removeDirectory(this.opt);
    expect(left).toEqual([]);
  }

  /** Runs `execplane agent …` of the current version. */
  async call(...args: string[]) {
    const called = new Started(
      join(this.opt, 'execplane/bin/execplane'),
      ['agent', ...args, '--agent-dir', this.agentDir],
      withNode({}),
    );
    const exit = await called.end('SIGCONT', 120_000);
    return { ...exit, stdout: called.stdout, stderr: called.stderr };
  }

  /** Copies the program with another version number. `main`: the source of its main module, for a broken version. */
  program(version: string, main?: string): string {
    const folder = join(this.opt, `execplane-agent-${version}`);
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

  counting(): Promise<Counting> {
    return startCounting(this.deployment.client.machine('dm-test'), this.deployment.dir);
  }

  /** The version that runs. */
  get running(): { version: string; linked: boolean } {
    return JSON.parse(readFileSync(join(this.agentDir, 'link.pid'), 'utf8'));
  }

  /** The name of the folder of the current version. */
  get present(): string {
    return readlinkSync(join(this.opt, 'execplane'));
  }

  #start(more: Record<string, string> = {}): Started {
    const settings = { EXECPLANE_AGENT_DIR: this.agentDir, EXECPLANE_URL: this.deployment.server.url, ...more };
    const agent = new Started(join(this.opt, 'execplane/bin/execplane'), ['agent'], withNode(settings));
    agent.child.once('exit', () => {
      this.#log += agent.stderr;
      if (this.supervised) this.agent = this.#start();
    });
    return agent;
  }

  #connected(): Promise<void> {
    return until(
      () => `the agent is connected\n${this.#log}${this.agent.stderr}`,
      async () => {
        const { json } = await this.deployment.client.get<{ status?: { phase: string } }>('/v1/machines/dm-test');
        return json?.status?.phase === 'running';
      },
    );
  }
}

/** The `node` in the PATH is the one that runs this test. */
function withNode(more: Record<string, string>): Record<string, string> {
  const env = baseEnv(more);
  return { ...env, PATH: `${join(process.execPath, '..')}:${env['PATH']}` };
}

describe('an upgrade to a version that works', () => {
  test('an agent from a tarball takes over, and the running command loses no byte', async () => {
    await using installation = await Installation.start();
    const command = await installation.counting();
    const folder = installation.program(NEXT);
    const tarball = new Started(
      'tar',
      ['-czf', 'next.tar.gz', `execplane-agent-${NEXT}`],
      withNode({}),
      installation.opt,
    );
    await tarball.exited;
    rmSync(folder, { recursive: true });
    const { code, stdout, stderr } = await installation.call('upgrade', '--to', join(installation.opt, 'next.tar.gz'));
    expect(stderr).toBe('');
    expect(stdout).toContain(`Version ${NEXT} is connected. Commands have run on.`);
    expect(code).toBe(0);
    expect(installation.present).toBe(`execplane-agent-${NEXT}`);
    expect(installation.running).toMatchObject({ version: NEXT, linked: true });
    const output = await command.stop();
    expect(output.stdout).toBe(output.printed);
  });

  test('without a service manager starts the agent again with the same settings', async () => {
    await using installation = await Installation.start();
    installation.supervised = false;
    const { code, stderr } = await installation.call('upgrade', '--to', installation.program(NEXT));
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(installation.running).toMatchObject({ version: NEXT, linked: true });
    expect(readFileSync(join(installation.agentDir, 'link.log'), 'utf8')).toContain('"msg":"connected"');
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
      await using installation = await Installation.start();
      const command = await installation.counting();
      const { code, stderr } = await installation.call(
        'upgrade',
        '--to',
        installation.program(NEXT, main),
        '--within',
        '2s',
      );
      expect(stderr).toMatch(new RegExp(`not upgraded: .*Version ${PRESENT} is back and connected`));
      expect(code).toBe(1);
      expect(installation.present).toBe(`execplane-agent-${PRESENT}`);
      expect(installation.running).toMatchObject({ version: PRESENT, linked: true });
      const { stdout, printed } = await command.stop();
      expect(stdout).toBe(printed);
    },
  );

  test('changes nothing if the program prints no version', async () => {
    await using installation = await Installation.start();
    const { pid } = installation.agent;
    const { code, stderr } = await installation.call('upgrade', '--to', installation.program(NEXT, 'syntax error'));
    expect(code).toBe(1);
    expect(stderr).toContain('bin/execplane failed');
    expect(installation.agent.pid).toBe(pid);
    expect(installation.present).toBe(`execplane-agent-${PRESENT}`);
  });
});

test('an upgrade without a connection is refused', async () => {
  await using installation = await Installation.start();
  await installation.deployment.server.stop();
  await until('it has noticed', () => installation.running.linked === false);
  const { code, stderr } = await installation.call('upgrade', '--to', installation.opt);
  expect(code).toBe(1);
  expect(stderr).toContain('is not connected to its server');
  await installation.deployment.server.restart();
});
