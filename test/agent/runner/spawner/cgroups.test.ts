/**
 * Reads and writes of cgroup files, tested on a directory with the same files as in the kernel's file system, since not every
 * machine that runs the tests has the controllers. test/integration/limits.test.ts tests real cgroups if they are available.
 */
import * as files from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { oneTurn } from '../../../helpers/one-turn.ts';

/** The files of a new cgroup, given its parent's controllers. */
const kernel = vi.hoisted(() => ({ root: '', files: {} as Record<string, string> }));

vi.mock('node:fs', async (original) => {
  const real = await original<typeof files>();
  return {
    ...real,
    mkdirSync: (path: string) => {
      real.mkdirSync(path);
      if (!path.startsWith(kernel.root)) return;
      for (const [name, text] of Object.entries(kernel.files)) real.writeFileSync(join(path, name), text);
    },
    writeFileSync: (path: string, text: string) => {
      if (path.startsWith(kernel.root) && !real.existsSync(path)) throw new Error(`EACCES: ${path}`);
      real.writeFileSync(path, text);
    },
    rmdirSync: (path: string) => {
      const events = join(path, 'cgroup.events');
      if (real.existsSync(events) && real.readFileSync(events, 'utf8').startsWith('populated 1'))
        throw new Error('EBUSY');
      real.rmSync(path, { recursive: true });
    },
  };
});

const { CgroupPool } = await import('../../../../src/agent/runner/spawner/cgroups.ts');

const PLAIN = {
  'cgroup.events': 'populated 0\nfrozen 0\n',
  'cgroup.subtree_control': '',
  'cpu.stat': 'usage_usec 7000\nuser_usec 5400\nsystem_usec 1600\n',
};
const MEMORY = {
  'memory.max': 'max\n',
  'memory.swap.max': 'max\n',
  'memory.oom.group': '0\n',
  'memory.peak': '123456789\n',
  'memory.events': 'low 0\nhigh 0\nmax 3\noom 1\noom_kill 0\noom_group_kill 0\n',
};
const ALL = {
  ...PLAIN,
  ...MEMORY,
  'cpu.max': 'max 100000\n',
  'pids.max': 'max\n',
  'io.stat': '8:0 rbytes=4096 wbytes=100 rios=1 wios=1\n8:16 rbytes=1000 wbytes=0 rios=2 wios=0 dbytes=0\n',
};
const EVERY = new Set(['memory', 'cpu', 'pids', 'io']);

beforeEach(() => {
  kernel.root = files.mkdtempSync(join(tmpdir(), 'execplane-cgroups-'));
  kernel.files = ALL;
});
afterEach(() => files.rmSync(kernel.root, { recursive: true }));

/** A cgroup with these limits; `text` reads one of its files. */
function acquire(limits: Parameters<InstanceType<typeof CgroupPool>['acquire']>[0]) {
  const pool = new CgroupPool(kernel.root, EVERY);
  const cgroup = pool.acquire(limits);
  if (cgroup === undefined) throw new Error('no cgroup');
  return { pool, cgroup, text: (name: string) => files.readFileSync(join(cgroup.path, name), 'utf8') };
}

describe('the cgroup of a command', () => {
  test('has its limits before the command is in it, has no swap, and is killed as a whole', () => {
    const { text } = acquire({ memoryBytes: 64_000_000, cpus: 0.25, pids: 20 });
    expect([text('memory.max'), text('memory.swap.max'), text('memory.oom.group')]).toEqual(['64000000', '0', '1']);
    expect([text('cpu.max'), text('pids.max')]).toEqual(['25000 100000', '20']);
  });

  test('has no limit that was not requested', () => {
    const { text } = acquire({ pids: 20 });
    expect([text('memory.max'), text('cpu.max'), text('pids.max')]).toEqual(['max\n', 'max 100000\n', '20']);
  });

  test('applies a memory limit even if the kernel has no swap limit', () => {
    const { 'memory.swap.max': _none, ...without } = ALL;
    kernel.files = without;
    expect(acquire({ memoryBytes: 1_000_000 }).text('memory.max')).toBe('1000000');
  });

  test('does not exist, and leaves nothing behind, if a limit cannot be set', () => {
    kernel.files = { ...PLAIN, 'pids.max': 'max\n' };
    const pool = new CgroupPool(kernel.root, new Set(['pids']));
    expect(pool.acquire({ memoryBytes: 1_000_000, pids: 1 })).toBeUndefined();
    expect(files.readdirSync(kernel.root)).toEqual([]);
    expect(pool.acquire({ pids: 1 })).toBeDefined();
  });

  test('a cgroup is created again after systemd has removed that of the pool, as it does when it restarts the unit', () => {
    const root = join(kernel.root, 'pool');
    files.mkdirSync(root);
    const pool = new CgroupPool(root, EVERY);
    files.rmSync(root, { recursive: true });
    const limits = { pids: 7 };
    const cgroup = pool.acquire(limits);
    expect(cgroup && files.readFileSync(join(cgroup.path, 'pids.max'), 'utf8')).toBe('7');
    expect(files.readFileSync(join(root, 'cgroup.subtree_control'), 'utf8')).toBe('+io');
  });

  test('reports the usage of all its processes', () => {
    expect(acquire({}).cgroup.usage()).toEqual({
      cpuUserMs: 5,
      cpuSystemMs: 2,
      maxMemoryBytes: 123_456_789,
      ioReadBytes: 5096,
      ioWriteBytes: 100,
    });
  });

  test('reports only the processor time if the kernel counts nothing else', () => {
    kernel.files = PLAIN;
    expect(acquire({}).cgroup.usage()).toEqual({ cpuUserMs: 5, cpuSystemMs: 2 });
  });

  test('distinguishes an out-of-memory kill from a limit that was only reached', () => {
    const { cgroup } = acquire({ memoryBytes: 1_000_000 });
    expect(cgroup.outOfMemory()).toBe(false);
    files.writeFileSync(join(cgroup.path, 'memory.events'), 'low 0\nmax 9\noom 2\noom_kill 1\n');
    expect(cgroup.outOfMemory()).toBe(true);
  });

  test('is removed when it is given back, unless a process is in it', () => {
    const { pool, cgroup } = acquire({});
    files.writeFileSync(join(cgroup.path, 'cgroup.events'), 'populated 1\n');
    pool.giveBack(cgroup);
    pool.tidy();
    expect(files.existsSync(cgroup.path)).toBe(true);
    files.writeFileSync(join(cgroup.path, 'cgroup.events'), 'populated 0\n');
    const next = pool.acquire();
    if (next !== undefined) pool.giveBack(next);
    pool.tidy();
    expect([cgroup, next].map((each) => each && files.existsSync(each.path))).toEqual([false, false]);
  });

  test('is made ahead for the next command, and gets the limits of that command', () => {
    const { pool } = acquire({ pids: 3 });
    pool.tidy();
    const before = files.readdirSync(kernel.root);
    const cgroup = pool.acquire({ cpus: 0.5 });
    expect(files.readdirSync(kernel.root)).toEqual(before);
    expect(cgroup && files.readFileSync(join(cgroup.path, 'cpu.max'), 'utf8')).toBe('50000 100000');
    expect(cgroup && files.readFileSync(join(cgroup.path, 'pids.max'), 'utf8')).toBe('max\n');
  });

  test('is another one if the one made ahead was removed, as systemd does', () => {
    const { pool, cgroup } = acquire({});
    pool.tidy();
    const ahead = files.readdirSync(kernel.root).filter((name) => name !== basename(cgroup.path));
    expect(ahead).toHaveLength(1);
    for (const name of ahead) files.rmSync(join(kernel.root, name), { recursive: true });
    const next = pool.acquire({ pids: 5 });
    expect(next && files.readFileSync(join(next.path, 'pids.max'), 'utf8')).toBe('5');
  });

  test('is not left behind by a pool that is closed', () => {
    const { pool, cgroup } = acquire({});
    pool.tidy();
    pool.giveBack(cgroup);
    pool.close();
    expect(files.existsSync(kernel.root)).toBe(false);
    files.mkdirSync(kernel.root);
  });
});

describe('the cgroup of a command that has left nothing', () => {
  beforeEach(() => {
    kernel.files = { ...PLAIN, 'pids.max': 'max\n' };
  });

  /** A pool whose last command has left nothing, and the cgroup that it keeps. */
  function keeping(controllers: readonly string[] = []) {
    const pool = new CgroupPool(kernel.root, new Set(controllers));
    const run = (leftNothing: boolean, work = (_path: string): void => {}): string => {
      const cgroup = pool.acquire();
      if (cgroup === undefined) throw new Error('no cgroup');
      pool.tidy();
      work(cgroup.path);
      cgroup.leftNothing = leftNothing;
      pool.giveBack(cgroup);
      return cgroup.path;
    };
    run(true);
    pool.tidy();
    onTestFinished(() => {
      pool.close();
      files.mkdirSync(kernel.root, { recursive: true });
    });
    return { pool, run, next: () => run(true) };
  }

  test('is used again, and no other is made', () => {
    const { pool, next } = keeping();
    const first = next();
    pool.tidy();
    expect(next()).toBe(first);
    expect(files.readdirSync(kernel.root)).toEqual([basename(first)]);
  });

  test('reports the usage of each command by itself', () => {
    const { pool } = keeping();
    const cgroup = pool.acquire();
    cgroup?.usage();
    if (cgroup === undefined) throw new Error('no cgroup');
    cgroup.leftNothing = true;
    pool.giveBack(cgroup);
    pool.tidy();
    const again = pool.acquire();
    expect(again?.usage()).toEqual({ cpuUserMs: 0, cpuSystemMs: 0 });
    files.writeFileSync(join(cgroup.path, 'cpu.stat'), 'usage_usec 19000\nuser_usec 15400\nsystem_usec 3600\n');
    expect(again?.usage()).toEqual({ cpuUserMs: 10, cpuSystemMs: 2 });
  });

  test.each<[string, boolean, (path: string) => void]>([
    ['if a process may be left', false, () => {}],
    ['after a cgroup was made in it', true, (path) => files.mkdirSync(join(path, 'below'))],
    ['after a setting was written', true, (path) => files.writeFileSync(join(path, 'pids.max'), '1')],
    ['after a file was opened to others', true, (path) => files.chmodSync(join(path, 'pids.max'), 0o666)],
    ['after it was removed', true, (path) => files.rmSync(path, { recursive: true })],
  ])('is not used again %s', async (_name, leftNothing, work) => {
    const { pool, run, next } = keeping();
    const first = run(leftNothing, work);
    await oneTurn();
    pool.tidy();
    expect(next()).not.toBe(first);
    expect(files.existsSync(first)).toBe(false);
  });

  test('is not used again if it is changed after the end', async () => {
    const { pool, next } = keeping();
    const first = next();
    pool.tidy();
    files.writeFileSync(join(first, 'pids.max'), '1');
    await oneTurn();
    expect(next()).not.toBe(first);
    pool.tidy();
    expect(files.existsSync(first)).toBe(false);
  });

  test('is not used again after limits', async () => {
    const { pool } = keeping(['pids']);
    const limited = pool.acquire({ pids: 3 });
    if (limited === undefined) throw new Error('no cgroup');
    await oneTurn();
    limited.leftNothing = true;
    pool.giveBack(limited);
    pool.tidy();
    expect(pool.acquire()?.path).not.toBe(limited.path);
  });

  test.each(['memory', 'io'])('is not used again where the kernel counts %s', (controller) => {
    const { pool, next } = keeping([controller]);
    const first = next();
    pool.tidy();
    expect(next()).not.toBe(first);
  });

  test('does not hold up a second command, and one of the two is kept', () => {
    const { pool, next } = keeping();
    const [first, second] = [pool.acquire(), pool.acquire()];
    if (first === undefined || second === undefined) throw new Error('no cgroup');
    expect(first.path).not.toBe(second.path);
    pool.giveBack(first);
    second.leftNothing = true;
    pool.giveBack(second);
    pool.tidy();
    const third = next();
    pool.tidy();
    expect(next()).toBe(third);
  });
});

test.each([
  [[], []],
  [['memory'], ['memoryBytes']],
  [
    ['cpu', 'io', 'pids'],
    ['cpus', 'pids'],
  ],
  [
    ['memory', 'cpu', 'pids'],
    ['memoryBytes', 'cpus', 'pids'],
  ],
])('with the controllers %j the limits are %j', (controllers, limits) => {
  expect([...new CgroupPool(kernel.root, new Set(controllers)).limits]).toEqual(limits);
});
