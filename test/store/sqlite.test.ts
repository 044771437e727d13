/** The embedded store passes the contract. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import type { Store } from '../../src/store/store.ts';
import { openTestStore } from '../helpers/test-store.ts';
import { describeStoreContract } from './contract.ts';

let directory = '';
let opened = 0;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'execplane-store-'));
});

afterAll(() => {
  rmSync(directory, { recursive: true });
});

function open(): Store {
  opened += 1;
  return openTestStore({ path: join(directory, `${opened}.db`), now: 0 });
}

describeStoreContract('SQLite', open);
