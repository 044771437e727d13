/** A full disk: no write is acknowledged, reads continue, and writes resume when there is space. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../../../src/store/sqlite/file/database.ts';
import { buildStore, openSqliteStore } from '../../../src/store/sqlite/store.ts';
import { type Store, StoreUnavailableError } from '../../../src/store/store.ts';
import { connectMachine, createExecution, report, useDatabasePath } from './place.ts';

const TMPFS_BYTES = 8 * 1024 * 1024;
const mount = mountSmallDisk();

afterAll(() => {
  if (mount === undefined) return;
  execFileSync('umount', [mount]);
  rmSync(mount, { recursive: true });
});

describe('a full disk', () => {
  const path = useDatabasePath();

  it('the store refuses writes at the maximum size of the file, and recovers when it may grow', async () => {
    const db = openDatabase(path());
    const store = buildStore(db, { now: 0 });
    await connectMachine(store);
    await createExecution(store, 'e');
    db.pragma(`max_page_count = ${(db.pragma('page_count', { simple: true }) as number) + 30}`);
    await fillAndRecover(store, () => void db.pragma('max_page_count = 4000000000'));
    await store.close();
  });

  it.runIf(mount !== undefined)('refuses writes on a full file system, and recovers when there is space', async () => {
    const directory = mount ?? '';
    const ballast = join(directory, 'ballast');
    const store = openSqliteStore({ path: join(directory, 'execplane.db') });
    await connectMachine(store);
    await createExecution(store, 'e');
    const free = statfsSync(directory).bavail * statfsSync(directory).bsize;
    writeFileSync(ballast, Buffer.alloc(free - 512 * 1024));
    await fillAndRecover(store, () => rmSync(ballast));
    await store.close();
  });
});

/** Writes output until the disk is full, and again after `makeRoom`; checks that exactly the acknowledged output is there. */
async function fillAndRecover(store: Store, makeRoom: () => void): Promise<void> {
  let written = 0;
  const write = () => report(store, 'e', written + 1, 2, Buffer.alloc(65_536, written));
  const fill = async () => {
    for (; written < 200; written++) await write();
  };
  await expect(fill()).rejects.toThrow(StoreUnavailableError);
  expect(written).toBeGreaterThan(0);
  await expect(write()).rejects.toThrow(StoreUnavailableError);
  expect(await store.getExecution({ machineId: 'dm-one', executionId: 'e' })).toMatchObject({ reported: written });
  makeRoom();
  await store.checkWritable();
  expect(await write()).toMatchObject([{ outcome: 'applied', reported: written + 1 }]);
  expect(await store.outputBounds({ executionId: 'e', stream: 'stdout' })).toEqual({
    start: 0,
    end: (written + 1) * 65_536,
  });
}

/** Mounts a file system of 8 MiB, if this process can mount one. */
function mountSmallDisk(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined;
  const directory = mkdtempSync(join(tmpdir(), 'execplane-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${TMPFS_BYTES}`, 'tmpfs', directory], { stdio: 'ignore' });
    return directory;
  } catch {
    rmSync(directory, { recursive: true });
    return undefined;
  }
}
