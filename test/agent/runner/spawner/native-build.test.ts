/** The build of the native spawner: the checked-in binaries match the sources, and the sources run under the sanitizers of the compiler. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  encodePlain,
  encodeResize,
  encodeSignal,
  encodeSpawn,
  encodeStdin,
} from '../../../../src/agent/runner/spawner/frames.ts';

const ROOT = new URL('../../../../', import.meta.url).pathname;
const SOURCES = ['main', 'buffer', 'frames', 'pipes', 'input', 'children', 'starts', 'request', 'launch', 'tree'];
const ROUNDS = 10_000;
const PIECES = 20;
/** Handles are not reused. */
let lastHandle = 0;
const scratch = mkdtempSync(join(tmpdir(), 'execplane-native-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const has = (program: string): boolean => {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};
/** The version of the compiler. Another version can produce other bytes. */
const COMPILER = 'gcc (Debian 12.2.0-14+deb12u1) 12.2.0';
const sameCompiler = has('gcc') && execFileSync('gcc', ['--version'], { encoding: 'utf8' }).startsWith(COMPILER);
const musl = existsSync('/usr/lib/x86_64-linux-musl/rcrt1.o');

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('the native spawner', () => {
  test.runIf(sameCompiler && musl)('is the build of its sources, byte for byte', () => {
    execFileSync('sh', [join(ROOT, 'scripts/build-native.sh'), scratch, 'x64']);
    for (const name of ['execplane-spawner', 'execplane-memory.node', 'execplane-wal.so']) {
      const built = readFileSync(join(scratch, 'linux-x64', name));
      expect(built.equals(readFileSync(join(ROOT, 'native/prebuilt/linux-x64', name))), name).toBe(true);
    }
  });

  test('is position-independent on every platform, and has the recorded checksum', () => {
    const sums = execFileSync('sha256sum', ['-c', 'SHA256SUMS'], {
      cwd: join(ROOT, 'native/prebuilt'),
      encoding: 'utf8',
    });
    expect(sums.match(/: OK/g)).toHaveLength(6);
    for (const architecture of ['x64', 'arm64']) {
      const head = readFileSync(join(ROOT, `native/prebuilt/linux-${architecture}/execplane-spawner`)).subarray(0, 18);
      expect([head.subarray(0, 4).toString('latin1'), head.readUInt16LE(16)]).toEqual(['\x7fELF', 3]);
    }
  });

  test.runIf(has('gcc'))('compiles without a warning, also of the static analyser', () => {
    const flags = ['-std=c11', '-O2', '-Wall', '-Wextra', '-Wconversion', '-Werror', '-fanalyzer', '-c'];
    flags.push('-isystem', join(ROOT, 'node_modules/better-sqlite3/deps/sqlite3'));
    for (const name of [...SOURCES, 'memory', 'wal']) {
      const source = join(ROOT, `native/${name}.c`);
      execFileSync('gcc', [...flags, source, '-o', join(scratch, `${name}.o`)], { stdio: 'pipe' });
    }
  });

  test.runIf(has('gcc'))(
    `takes ${ROUNDS} frames, many of them damaged, without a fault`,
    { timeout: 120_000 },
    async () => {
      const program = buildSanitized();
      const seed = Number(process.env['EXECPLANE_FUZZ_SEED'] ?? Date.now() % 1_000_000);
      const random = generator(seed);
      for (let round = 0; round < PIECES; round++) {
        lastHandle = 0;
        const child = spawn(program, [], {
          stdio: ['pipe', 'ignore', 'pipe'],
          env: { ASAN_OPTIONS: 'detect_leaks=0' },
        });
        const stderr = readAll(child);
        child.stdin.on('error', () => {}); // the spawner may exit on a damaged frame
        const frames = Array.from({ length: ROUNDS / PIECES }, () => randomFrame(random));
        child.stdin.end(Buffer.concat(frames));
        const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
        // It exits normally, or reports a damaged frame (70); a sanitizer exits with another code.
        expect({ seed, round, code, signal, stderr: await stderr }).toMatchObject({
          code: expect.toBeOneOf([0, 70]),
          signal: null,
        });
      }
    },
  );
});

/** The address sanitizer supports only one stack, so that a child cannot share memory: it is forked. */
function buildSanitized(): string {
  const program = join(scratch, 'sanitized');
  const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-g', '-O1', '-DCLONE_VM_OFF'];
  const sources = SOURCES.map((name) => join(ROOT, `native/${name}.c`));
  execFileSync('gcc', ['-std=c11', ...sanitizers, ...sources, '-o', program], { stdio: 'pipe' });
  return program;
}

async function readAll(child: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of child.stderr ?? []) text += String(chunk);
  return text.slice(0, 4000);
}

/** Returns a seeded generator of whole numbers from 0 (included) to `bound` (excluded) (mulberry32). */
function generator(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

/** Makes a frame for one of a few handles. One in 200 frames is damaged. */
function randomFrame(random: (bound: number) => number): Buffer {
  const frame = pick(random);
  if (random(200) > 0) return frame;
  const damaged = Buffer.from(frame);
  for (let i = 0; i <= random(4); i++) damaged[random(damaged.length)] = random(256);
  return damaged;
}

function pick(random: (bound: number) => number): Buffer {
  const handle = 1 + random(lastHandle + 2);
  const plain = ['pause', 'resume', 'release', 'approve', 'abort'] as const;
  // Few starts, because the sanitizer needs a fork for each, and the end of each command searches the process table.
  if (random(40) === 0) return spawnFrame(random, ++lastHandle);
  const kind = 3 + random(9);
  if (kind < 6) return Buffer.concat(encodeStdin(handle, Buffer.alloc(random(2000), 'x'), random(4) === 0));
  if (kind === 6) return encodeSignal(handle, random(70));
  if (kind === 7) return encodeResize(handle, { width: random(65_536), height: random(65_536) });
  return encodePlain(plain[random(plain.length)] ?? 'pause', handle);
}

function spawnFrame(random: (bound: number) => number, handle: number): Buffer {
  const bytes = encodeSpawn(
    {
      handle,
      executionId: 'fuzz',
      argv: [['/bin/true', '/bin/cat', 'no-such-program', '/etc'][random(4)] ?? ''],
      env: { EXECUTION_ID: `fuzz-${process.pid}`, PATH: '/usr/bin' },
      home: random(2) === 0 ? '/' : '/nonexistent',
      stdin: random(2) === 0 ? 'pipe' : 'none',
      keepBytes: random(100_000),
      tailBytes: random(3) * 32_768,
      ask: random(6) === 0,
      ...(random(3) === 0 && { terminal: { width: 80, height: 24 } }),
    },
    '',
  );
  if (bytes === undefined) throw new Error('a frame that cannot be encoded');
  return bytes;
}
