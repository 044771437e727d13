/** Scans all bytes of the files: sealed inputs must be removed after their executions have ended. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { describe, expect, it, vi } from 'vitest';
import { REPORT_KIND } from '../../../../src/core/report.ts';
import { openSqliteStore } from '../../../../src/store/sqlite/store.ts';
import type { Store } from '../../../../src/store/store.ts';
import { connectMachine, createExecution, end, report, useDatabasePath } from '../place.ts';

const FIXTURE = new URL('../store-process.ts', import.meta.url).pathname;

describe('the traces of sealed inputs', () => {
  const path = useDatabasePath();
  const traces = () =>
    ['', '-wal', '-shm']
      .map((suffix) => path() + suffix)
      .filter((file) => existsSync(file) && readFileSync(file).includes('SECRET-'));
  const vanish = () => vi.waitFor(() => expect(traces()).toEqual([]), { timeout: 30_000, interval: 100 });

  it('are gone a moment after the executions end', async () => {
    const store = openSqliteStore({ path: path() });
    await connectMachine(store);
    // Inputs of all sizes: many in one page, and one in many pages.
    const secret = (id: number) => Buffer.from('SECRET-'.repeat(1 + ((id * 997) % (id % 2 === 0 ? 60 : 3000))));
    const ids = Array.from({ length: 100 }, (_, index) => index);
    await Promise.all(ids.map((id) => createExecution(store, `e${id}`, { sealedInput: secret(id) })));
    // More bytes than the log can hold, so that the secrets are moved into the file.
    await Promise.all(
      ids.slice(0, 10).flatMap((id) => Array.from({ length: 32 }, (_, n) => output(store, `e${id}`, n + 1))),
    );
    expect(traces()).toContain(path());
    for (const id of ids.toSorted((a, b) => ((a * 37) % 100) - ((b * 37) % 100)))
      await end(store, `e${id}`, id < 10 ? 33 : 1);
    await vanish();
    await store.close();
    expect(traces()).toEqual([]);
  }, 60_000);

  it('are gone after a crash, once the server has restarted', async () => {
    await once(spawn(process.execPath, [FIXTURE, 'crash', path()]), 'close');
    expect(traces()).toEqual([`${path()}-wal`]);
    const store = openSqliteStore({ path: path() });
    await vanish();
    await store.close();
  }, 60_000);

  it('are gone when another process has finished reading, and delay no write meanwhile', async () => {
    const store = openSqliteStore({ path: path() });
    await connectMachine(store);
    await createExecution(store, 'e', { sealedInput: Buffer.from('SECRET-'.repeat(3000)) });
    const backup = new Sqlite(path(), { readonly: true });
    backup.exec('BEGIN');
    backup.prepare('SELECT count(*) FROM executions').get();
    await end(store, 'e');
    const pragma = vi.spyOn(Sqlite.prototype, 'pragma');
    const attempts = () => pragma.mock.calls.filter(([source]) => source === 'wal_checkpoint(TRUNCATE)').length;
    const attempt = (count: number) =>
      vi.waitFor(() => expect(attempts()).toBeGreaterThanOrEqual(count), { timeout: 10_000 });
    await attempt(1);
    expect(traces()).not.toEqual([]);
    await store.checkWritable();
    await attempt(attempts() + 1);
    backup.exec('COMMIT');
    await vanish();
    backup.close();
    await store.close();
  }, 60_000);
});

function output(store: Store, executionId: string, number: number) {
  return report(store, executionId, number, REPORT_KIND.stdout, Buffer.alloc(60_000));
}
