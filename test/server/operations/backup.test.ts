/** Backup and restore of a data directory while a server writes, and their failures. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { backUp, restore } from '../../../src/server/operations/backup.ts';
import { BackupError } from '../../../src/store/sqlite/backup/backup.ts';
import { appendDigest, takeDigest } from '../../../src/store/sqlite/backup/digest.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import type { Store } from '../../../src/store/store.ts';
import { connectMachine, createExecution, end } from '../../store/sqlite/place.ts';

let dir: string;
let dataDir: string;
let to: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'execplane-backup-'));
  dataDir = join(dir, 'data');
  to = join(dir, 'a.backup');
});
afterEach(() => rmSync(dir, { recursive: true }));

/** A data directory with keys and an open store. */
function running(): Store {
  const store = openSqliteStore({ path: join(dataDir, 'execplane.db') });
  writeFileSync(join(dataDir, 'secret.key'), 'sealing\n', { mode: 0o600 });
  writeFileSync(join(dataDir, 'admin.key'), 'xpk_admin\n', { mode: 0o600 });
  return store;
}

const list = async (store: Store) => (await store.listExecutions({ machineId: 'dm-one', limit: 500 })).items;

test('a backup of a server that is writing has the state of one moment, and restores it', async () => {
  const store = running();
  await connectMachine(store);
  for (let n = 0; n < 50; n++) {
    await createExecution(store, `before-${n}`);
    await end(store, `before-${n}`);
  }
  const before = await list(store);
  const copied = backUp({ dataDir, to, now: 77 });
  let made = 0;
  let copying = true;
  const done = copied.finally(() => {
    copying = false;
  });
  while (copying) await createExecution(store, `during-${made++}`);
  const report = await done;
  await store.close();
  expect(made).toBeGreaterThan(0);
  expect(report).toMatchObject({ counts: { executions: 50, events: 100, machines: 1 }, bytes: statSync(to).size });
  expect(statSync(to).mode & 0o777).toBe(0o600);

  const elsewhere = join(dir, 'elsewhere');
  expect(restore({ dataDir: elsewhere, from: to, force: false, now: 99 })).toMatchObject({
    madeAt: 77,
    abandoned: 0,
    counts: report.counts,
  });
  for (const name of ['execplane.db', 'secret.key', 'admin.key']) {
    expect(statSync(join(elsewhere, name)).mode & 0o777).toBe(0o600);
  }
  expect(readFileSync(join(elsewhere, 'secret.key'), 'utf8')).toBe('sealing\n');
  const restored = openSqliteStore({ path: join(elsewhere, 'execplane.db') });
  expect(await list(restored)).toEqual(before);
  await restored.close();
});

test('an execution that waits in the backup is ended, not run: it may have run since', async () => {
  const store = running();
  await connectMachine(store);
  await createExecution(store, 'handed-out');
  await createExecution(store, 'queued', { dispatch: false, sealedInput: Buffer.from('sealed') });
  await store.machineDisconnected({ machineId: 'dm-one', epoch: 1, now: 5 });
  await createExecution(store, 'waking', { dispatch: false });
  await backUp({ dataDir, to, now: 77 });
  await store.close();
  expect(restore({ dataDir, from: to, force: true, now: 99 })).toMatchObject({ abandoned: 2 });
  const restored = openSqliteStore({ path: join(dataDir, 'execplane.db') });
  const states = (await list(restored)).map(({ executionId, status, errorCode }) => [executionId, status, errorCode]);
  expect(states).toEqual([
    ['waking', 'failed', 'agent_lost'],
    ['queued', 'failed', 'agent_lost'],
    ['handed-out', 'queued', undefined],
  ]);
  expect(readFileSync(join(dataDir, 'execplane.db')).includes('sealed\0')).toBe(false);
  await restored.close();
});

test('a restore keeps the existing data, and replaces it only if told to', async () => {
  const store = running();
  await connectMachine(store);
  await backUp({ dataDir, to, now: 1 });
  await createExecution(store, 'later');
  expect(() => restore({ dataDir, from: to, force: true, now: 2 })).toThrow(/a server runs on/);
  await store.close();
  expect(() => restore({ dataDir, from: to, force: false, now: 2 })).toThrow(/--force/);
  const { replaced = '' } = restore({ dataDir, from: to, force: true, now: 2 });
  const old = openSqliteStore({ path: join(replaced, 'execplane.db') });
  expect(await list(old)).toHaveLength(1);
  await old.close();
  expect(readFileSync(join(replaced, 'secret.key'), 'utf8')).toBe('sealing\n');
  const restored = openSqliteStore({ path: join(dataDir, 'execplane.db') });
  expect(await list(restored)).toEqual([]);
  await restored.close();
});

test('a backup never overwrites a file, needs a database, and leaves nothing of a failed attempt', async () => {
  await expect(backUp({ dataDir, to, now: 1 })).rejects.toThrow(/execplane\.db does not exist/);
  const store = running();
  writeFileSync(to, 'precious');
  await expect(backUp({ dataDir, to, now: 1 })).rejects.toThrow(/exists already/);
  expect(readFileSync(to, 'utf8')).toBe('precious');
  await store.close();
  expect(existsSync(`${to}.${process.pid}.partial`)).toBe(false);
});

test('a FIFO or a directory instead of a backup is refused at once', () => {
  execFileSync('mkfifo', [to]);
  for (const from of [to, dir]) {
    expect(() => restore({ dataDir, from, force: true, now: 2 })).toThrow(/is not a regular file/);
  }
  expect(() => restore({ dataDir, from: `${to}-missing`, force: true, now: 2 })).toThrow(/does not exist/);
});

test('a file that is not a backup, or a damaged one, is refused before anything is changed', async () => {
  const store = running();
  await connectMachine(store);
  for (let n = 0; n < 200; n++) await createExecution(store, `e${n}`);
  await backUp({ dataDir, to, now: 1 });
  await store.close();
  const attempt = () => restore({ dataDir, from: to, force: true, now: 2 });
  const whole = readFileSync(to);
  writeFileSync(to, Buffer.from(whole).fill(0x5a, whole.length / 2, whole.length / 2 + 8192));
  expect(attempt).toThrow(BackupError);
  writeFileSync(to, whole);
  truncateSync(to, whole.length - 8192);
  expect(attempt).toThrow(BackupError);
  writeFileSync(to, 'not a database, but long enough to look for a header'.repeat(99));
  expect(attempt).toThrow(/not a backup made by/);
  expect(() => restore({ dataDir, from: join(dataDir, 'execplane.db'), force: true, now: 2 })).toThrow(
    /not a backup made by/,
  );
  const untouched = openSqliteStore({ path: join(dataDir, 'execplane.db') });
  expect(await list(untouched)).toHaveLength(200);
  await untouched.close();
});

test('a backup with one changed byte is refused, wherever that byte is', async () => {
  const store = running();
  await connectMachine(store);
  await createExecution(store, 'precious');
  await backUp({ dataDir, to, now: 1 });
  await store.close();
  const whole = readFileSync(to);
  const places = [whole.indexOf('precious'), whole.indexOf('sealing'), whole.length - 2, whole.length - 80];
  for (const at of [...places, whole.length - 1]) {
    const flipped = Buffer.from(whole);
    flipped.writeUInt8(flipped.readUInt8(at) ^ 1, at);
    writeFileSync(to, flipped);
    expect(() => restore({ dataDir, from: to, force: true, now: 2 }), `byte ${at}`).toThrow(`${to} is damaged`);
  }
  writeFileSync(to, whole.subarray(0, whole.lastIndexOf('execplane-backup-sha256')));
  expect(() => restore({ dataDir, from: to, force: true, now: 2 })).toThrow(`${to} is damaged`);
  writeFileSync(to, whole);
  expect(restore({ dataDir, from: to, force: true, now: 2 })).toMatchObject({ digestChecked: true });
});

test('a backup of an older version has no digest, and is restored', async () => {
  await running().close();
  await backUp({ dataDir, to, now: 1 });
  takeDigest(to);
  const db = new Sqlite(to);
  db.exec('ALTER TABLE backup DROP COLUMN digest');
  db.close();
  expect(restore({ dataDir, from: to, force: true, now: 2 })).toMatchObject({ digestChecked: false, madeAt: 1 });
});

test.each(['../planted', '/tmp/execplane-planted', 'execplane.db', 'sub/key'])(
  'a backup that contains a file called %s is not restored, and nothing of it is written',
  async (name) => {
    await running().close();
    await backUp({ dataDir, to, now: 1 });
    takeDigest(to);
    const db = new Sqlite(to);
    db.prepare('INSERT INTO backup_files (name, content) VALUES (?, ?)').run(name, Buffer.from('planted'));
    db.close();
    appendDigest(to);
    const target = join(dir, 'target');
    expect(() => restore({ dataDir: target, from: to, force: false, now: 2 })).toThrow(/no backup contains/);
    expect(readdirSync(target)).toEqual(['execplane.db.lock']);
    expect(existsSync(join(target, name))).toBe(false);
  },
);

test.runIf(process.getuid?.() === 0)(
  'a backup onto a full disk leaves nothing behind, and names the file',
  async () => {
    await running().close();
    const disk = join(dir, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]);
    try {
      const full = join(disk, 'a.backup');
      await expect(backUp({ dataDir, to: full, now: 1 })).rejects.toThrow(`${full} cannot be written`);
      expect(readdirSync(disk)).toEqual([]);
    } finally {
      execFileSync('umount', [disk]);
    }
  },
);

describe.runIf(process.getuid?.() === 0)('root, on a data directory whose user has put links there,', () => {
  const NOBODY = 65_534;
  const own = (path: string) => chownSync(path, NOBODY, NOBODY);
  let secret: string;

  /** Gives the data to another user, who cannot read the file of root that the links lead to. */
  beforeEach(async () => {
    await running().close();
    await backUp({ dataDir, to, now: 1 });
    for (const path of [dataDir, ...readdirSync(dataDir).map((name) => join(dataDir, name))]) own(path);
    chmodSync(dir, 0o755);
    secret = join(dir, 'of-root');
    writeFileSync(secret, 'secret of root', { mode: 0o600 });
  });

  test('backs up no file that this user cannot read', async () => {
    rmSync(join(dataDir, 'admin.key'));
    symlinkSync(secret, join(dataDir, 'admin.key'));
    await expect(backUp({ dataDir, to: `${to}-2`, now: 1 })).rejects.toThrow(
      /admin.key cannot be read: permission denied/,
    );
  });

  test('restores files of this user, and changes no file that the links lead to', () => {
    chmodSync(secret, 0o640);
    symlinkSync(secret, join(dataDir, 'replaced-before'));
    restore({ dataDir, from: to, force: true, now: 2 });
    const { mode, uid } = statSync(secret);
    expect([mode & 0o777, uid]).toEqual([0o640, 0]);
    for (const name of ['execplane.db', 'secret.key', 'admin.key'])
      expect(statSync(join(dataDir, name)).uid).toBe(NOBODY);
    rmSync(join(dataDir, 'execplane.db.lock'));
    symlinkSync(secret, join(dataDir, 'execplane.db.lock'));
    expect(() => restore({ dataDir, from: to, force: true, now: 3 })).toThrow(
      /execplane.db cannot be locked: permission denied/,
    );
    expect(process.geteuid?.()).toBe(0);
  });

  test('is told the directory itself if it named a link to it', async () => {
    const link = join(dir, 'link');
    symlinkSync(dataDir, link);
    const refused = expect.objectContaining({ exitCode: 2, message: expect.stringContaining('symbolic link') });
    await expect(backUp({ dataDir: link, to: `${to}-2`, now: 1 })).rejects.toEqual(refused);
    expect(() => restore({ dataDir: link, from: to, force: true, now: 2 })).toThrow(refused);
  });
});

test('a restore into a file, and from what is no database, names it and changes nothing', () => {
  const file = join(dir, 'file');
  writeFileSync(file, 'precious');
  writeFileSync(to, 'SQLite format 4');
  expect(() => restore({ dataDir, from: to, force: true, now: 2 })).toThrow(/is not a backup made by/);
  writeFileSync(to, 'SQLite format 3\0');
  expect(() => restore({ dataDir: file, from: to, force: true, now: 2 })).toThrow(
    expect.objectContaining({ exitCode: 2, message: expect.stringMatching(/^EXECPLANE_DATA_DIR: .*not a directory/) }),
  );
  expect(readFileSync(file, 'utf8')).toBe('precious');
});
