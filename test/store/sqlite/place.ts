/** A directory for each test of the SQLite store. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { type RawRecord, REPORT_KIND } from '../../../src/core/report.ts';
import type { Store } from '../../../src/store/store.ts';

/** Makes a directory before each test and removes it after; returns a function for the path of the database in it. */
export function useDatabasePath(): () => string {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'execplane-sqlite-'));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });
  return () => join(directory, 'execplane.db');
}

/** A machine with a connected runner `runner`. */
export async function connectMachine(store: Store, machineId = 'dm-one'): Promise<void> {
  await store.createMachine({ machineId, now: 1 });
  const facts = { vcpu: 1, memory_mib: 1, storage_gib: 1 };
  await store.machineConnected({ machineId, runnerInstance: 'runner', bootId: 'boot', facts, now: 1 });
}

/** Creates an execution on `dm-one`, by default dispatched to its first connection. */
export function createExecution(
  store: Store,
  executionId: string,
  { sealedInput, dispatch = true, epoch = 1 }: { sealedInput?: Buffer; dispatch?: boolean; epoch?: number } = {},
) {
  return store.createExecution({
    execution: {
      executionId,
      machineId: 'dm-one',
      command: ['true'],
      envKeys: [],
      stdinMode: 'none',
      expiresAt: 1000,
      createdBy: 'admin',
      ...(sealedInput === undefined ? {} : { sealedInput }),
    },
    now: 1,
    queueLimit: 1_000_000,
    ...(dispatch ? { dispatchTo: { runnerInstance: 'runner', epoch } } : {}),
  });
}

/** Appends one report. */
export function report(store: Store, executionId: string, number: number, kind: RawRecord['kind'], payload: Buffer) {
  const records = [{ kind, executionId, number, at: 1, payload }];
  return store.appendReports({ machineId: 'dm-one', records, clockOffsetMs: 0, now: 2 });
}

/** Ends an execution with its first report. */
export function end(store: Store, executionId: string, number = 1) {
  return report(store, executionId, number, REPORT_KIND.ended, Buffer.from('{"status":"succeeded","exit_code":0}'));
}
