/** Files of a command are collected at its end, from its drop folder and by declared patterns, also from hostile folders. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { StartArtifacts } from '../../../../src/core/launch-options.ts';
import { type ArtifactEndPayload, REPORT_KIND } from '../../../../src/core/report.ts';
import { until } from '../../../helpers/processes.ts';
import { sharedRunner } from '../../../helpers/runner-process.ts';
import type { Reported, TestLink } from '../../../helpers/test-link.ts';

const WANTED: StartArtifacts = { declared: [], max_bytes: 1 << 20, timeout_ms: 60_000 };
const runner = sharedRunner();

let cwd: string;
let link: TestLink;
let runs = 0;

beforeEach(async () => {
  ({ link } = await runner());
  cwd = mkdtempSync(join(tmpdir(), 'execplane-cwd-'));
  chmodSync(cwd, 0o755);
});

afterEach(() => rmSync(cwd, { recursive: true, force: true }));

interface Collected {
  files: Record<string, string>;
  skipped: Record<string, string>;
}

/** The artifacts in the reports; each checksum is compared with the bytes. */
function collectedBy({ records }: Reported): Collected {
  const collected: Collected = { files: {}, skipped: {} };
  let pieces: Buffer[] = [];
  for (const { kind, payload } of records) {
    if (kind === REPORT_KIND.artifact) pieces = [];
    if (kind === REPORT_KIND.artifact_data) pieces.push(payload);
    if (kind !== REPORT_KIND.artifact_end) continue;
    const end = JSON.parse(payload.toString()) as ArtifactEndPayload;
    const bytes = Buffer.concat(pieces);
    if (end.sha256 === undefined) collected.skipped[end.name] = end.reason ?? '';
    else expect(end.sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    if (end.sha256 !== undefined) collected.files[end.name] = bytes.toString('latin1');
  }
  return collected;
}

async function run(script: string, wanted: Partial<StartArtifacts> = {}, more: object = {}) {
  const command = ['sh', '-c', script];
  const reported = await link.run(`run-${++runs}`, command, { cwd, artifacts: { ...WANTED, ...wanted }, ...more });
  const folder = reported.stdout.toString().split('\n')[0] ?? '';
  return { ...collectedBy(reported), ended: reported.ended, folder, records: reported.records };
}

describe('the drop folder', () => {
  test("is new, empty and owned by the command's user; its files are collected before the end, and it is removed", async () => {
    const script =
      'echo $ARTIFACTS_DIR; ls -A $ARTIFACTS_DIR; mkdir -p $ARTIFACTS_DIR/a/b; printf 1 > $ARTIFACTS_DIR/x.txt; printf 22 > $ARTIFACTS_DIR/a/b/y';
    const { files, skipped, folder, ended, records } = await run(script);
    expect(files).toEqual({ 'a/b/y': '22', 'x.txt': '1' });
    expect(skipped).toEqual({});
    expect(ended.status).toBe('succeeded');
    expect(records.at(-1)?.kind).toBe(REPORT_KIND.ended);
    await until('the folder is removed', () => !existsSync(folder));
  });

  test('is removed without a report if it is empty', async () => {
    const { records, folder } = await run('echo $ARTIFACTS_DIR');
    expect(records.map(({ kind }) => kind)).toEqual([REPORT_KIND.started, REPORT_KIND.stdout, REPORT_KIND.ended]);
    await until('the folder is removed', () => !existsSync(folder));
  });

  test('is another one for each of many short commands, and holds what its own command put into it', async () => {
    const folders: string[] = [];
    for (let i = 0; i < 20; i++) {
      const isEmpty = i % 2 === 0;
      const { files, folder } = await run(`echo $ARTIFACTS_DIR${isEmpty ? '' : `; printf ${i} > $ARTIFACTS_DIR/file`}`);
      expect(files).toEqual(isEmpty ? {} : { file: String(i) });
      folders.push(folder);
    }
    expect(new Set(folders).size).toBe(folders.length);
    await until('all folders are removed', () => !folders.some((folder) => existsSync(folder)));
  });

  test('does not exist for a start that does not ask for artifacts', async () => {
    const { stdout } = await link.run(`run-${++runs}`, ['sh', '-c', 'echo "<$ARTIFACTS_DIR>"'], { cwd });
    expect(stdout.toString()).toBe('<>\n');
  });

  test.each([
    ['a failure', 'exit 3', {}, { status: 'failed', exit_code: 3 }],
    ['a timeout', 'exec sleep 60', { timeout_ms: 300 }, { status: 'failed', signal: 9 }],
  ])('is collected after %s', async (_name, last, more, end) => {
    const { files, ended } = await run(`echo log > $ARTIFACTS_DIR/log; ${last}`, {}, more);
    expect(files).toEqual({ log: 'log\n' });
    expect(ended).toMatchObject(end);
  });
});

describe('declared paths', () => {
  test('match under the working directory, and are named by their paths or as requested', async () => {
    const declared = [
      { path: 'dist/*.tgz' },
      { path: 'logs/**', name: 'all-logs' },
      { path: './report.xml', name: 'junit/report.xml' },
      { path: 'plain' },
      { path: 'nothing/*' },
    ];
    const script =
      'mkdir -p dist/sub logs/a/b plain; printf 1 > dist/x.tgz; printf 2 > dist/y.txt; printf 3 > dist/sub/z.tgz; printf 4 > logs/l; printf 5 > logs/a/b/m; printf 6 > report.xml; printf 7 > plain/f';
    const { files, ended } = await run(script, { declared });
    expect(files).toEqual({
      'dist/x.tgz': '1',
      'all-logs/l': '4',
      'all-logs/a/b/m': '5',
      'junit/report.xml': '6',
      'plain/f': '7',
    });
    expect(ended.status).toBe('succeeded');
  });

  test('with ** also match without a folder in its place', async () => {
    const declared = [{ path: '**/*.txt' }, { path: 'a/**/**/b.log' }, { path: 'c/**' }];
    const script = 'mkdir -p a/x/y c; touch 1.txt a/2.txt a/x/y/3.txt a/b.log a/x/b.log a/x/y/b.log c/d; touch no.log';
    const { files } = await run(script, { declared });
    const logs = ['a/b.log', 'a/x/b.log', 'a/x/y/b.log'];
    expect(Object.keys(files).sort()).toEqual(['1.txt', 'a/2.txt', 'a/x/y/3.txt', ...logs, 'c/d'].sort());
  });

  test('that are folders keep all files under the requested name; two files of one name are reported', async () => {
    const declared = [
      { path: 'logs/', name: 'all' },
      { path: 'a', name: 'x' },
      { path: 'b', name: 'x' },
      { path: '*', name: 'again' },
      { path: 'again', name: 'again/a' },
    ];
    const script =
      'mkdir -p logs/sub; printf 1 > logs/l; printf 2 > logs/sub/m; printf a > a; printf b > b; printf c > again';
    const { files, skipped } = await run(script, { declared });
    expect(files).toEqual({
      'all/l': '1',
      'all/sub/m': '2',
      x: 'a',
      'again/a': 'a',
      'again/again': 'c',
      'again/b': 'b',
      'again/logs/l': '1',
      'again/logs/sub/m': '2',
    });
    expect(skipped).toEqual({ x: 'another artifact has this name', 'again/a': 'another artifact has this name' });
  });

  test('turn a success into artifact_missing with if_missing: fail, and leave every other end unchanged', async () => {
    const declared = [{ path: 'dist/*', if_missing: 'fail' as const }];
    const missing = await run('true', { declared });
    expect(missing.ended).toMatchObject({ status: 'failed', exit_code: 0, error_code: 'artifact_missing' });
    expect(missing.ended.error_message).toContain('dist/*');
    expect((await run('exit 2', { declared })).ended).toMatchObject({ error_code: 'nonzero_exit', exit_code: 2 });
    expect((await run('mkdir dist; echo > dist/x', { declared })).ended.status).toBe('succeeded');
  });

  test('do not follow symbolic links', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'execplane-outside-'));
    writeFileSync(join(outside, 'secret'), 'secret');
    symlinkSync(outside, join(cwd, 'out'));
    mkdirSync(join(cwd, 'in'));
    symlinkSync(join(outside, 'secret'), join(cwd, 'in', 'secret'));
    const paths = [
      'out/secret',
      '**',
      'in/*',
      `../${basename(outside)}/secret`,
      `${outside}/secret`,
      'in/../out/secret',
    ];
    const { files } = await run('true', { declared: paths.map((path) => ({ path })) });
    expect(files).toEqual({});
    rmSync(outside, { recursive: true });
  });
});

describe('hostile folders', () => {
  test('links, devices, FIFOs, sockets and names that are not UTF-8 are skipped and reported', async () => {
    const script = [
      'cd $ARTIFACTS_DIR',
      'ln -s /etc/passwd link; ln -s /etc dir; ln -s . loop; mkfifo fifo',
      'printf ok > good; printf x > "$(printf "bad\\377")"',
      process.getuid?.() === 0 ? 'mknod null c 1 3' : 'true',
    ].join('; ');
    const { files, skipped } = await run(script);
    expect(files).toEqual({ good: 'ok' });
    expect(skipped).toMatchObject({
      link: 'it is a symbolic link',
      dir: 'it is a symbolic link',
      loop: 'it is a symbolic link',
      fifo: 'it is not a regular file',
      'bad\ufffd': 'its name is not UTF-8',
    });
    if (process.getuid?.() === 0) expect(skipped['null']).toBe('it is not a regular file');
  });

  test('a file that is too large is skipped, and one that grows is not kept', async () => {
    const script =
      'cd $ARTIFACTS_DIR; truncate -s 2M large; truncate -s 1T sparse; head -c 1048576 /dev/zero > just; printf 1 > small';
    const { files, skipped } = await run(script);
    expect(Object.keys(files).sort()).toEqual(['just', 'small']);
    expect(files['just']?.length).toBe(1 << 20);
    expect(Object.keys(skipped).sort()).toEqual(['large', 'sparse']);
  });

  test('the first hundred of 20,000 files are kept, in bounded time and with few notes', async () => {
    const script = 'cd $ARTIFACTS_DIR; seq -w 20000 | xargs touch';
    const { files, skipped, ended } = await run(script);
    expect(Object.keys(files)).toHaveLength(100);
    expect(Object.keys(skipped).length).toBeLessThanOrEqual(20);
    expect(ended.status).toBe('succeeded');
  });

  test('a folder that is nested without end is not walked to its end', async () => {
    const script = 'cd $ARTIFACTS_DIR; for i in $(seq 200); do mkdir d; cd d; done; echo deep > file';
    const { files, skipped } = await run(script);
    expect(files).toEqual({});
    expect(Object.values(skipped)).toEqual(['it is nested more than 64 deep']);
  });

  test.runIf(process.getuid?.() === 0)(
    "the collector runs as the command's user, and cannot read files that this user cannot read",
    async () => {
      const script = 'echo ok > $ARTIFACTS_DIR/own; ln /etc/shadow $ARTIFACTS_DIR/shadow 2>/dev/null; id -u';
      const secret = join(cwd, 'secret');
      writeFileSync(secret, 'secret', { mode: 0o600 });
      writeFileSync(join(cwd, 'open'), 'open', { mode: 0o644 });
      const { files, skipped } = await run(script, { declared: [{ path: '*' }] }, { user: 'nobody' });
      expect(files).toEqual({ own: 'ok\n', open: 'open' });
      expect(skipped['secret']).toContain('EACCES');
    },
  );
});

test('a collection that takes too long is ended and reported; the command keeps its end', async () => {
  const script = 'cd $ARTIFACTS_DIR; head -c 1048576 /dev/zero > a';
  const { skipped, ended } = await run(script, { timeout_ms: 1 });
  expect(Object.values(skipped)).toEqual(['collecting took longer than 1 ms']);
  expect(ended).toMatchObject({ status: 'succeeded', exit_code: 0 });
});

test('a drop folder is removed from the temporary directory after it was collected', async () => {
  const { folder } = await run('echo $ARTIFACTS_DIR; echo > $ARTIFACTS_DIR/x');
  expect(basename(folder)).not.toBe('');
  await until('the folder is removed', () => !readdirSync(tmpdir()).includes(basename(folder)));
});
