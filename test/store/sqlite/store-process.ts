/**
 * A process that uses a database. `migrate PATH` prints that it is ready, waits for the end of its stdin, and makes the database.
 * `burst PATH` writes until it is killed. `crash PATH` deletes secrets and kills itself before their bytes are removed from the file.
 */
import { once } from 'node:events';
import { openDatabase } from '../../../src/store/sqlite/file/database.ts';
import { migrate } from '../../../src/store/sqlite/file/migrations.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import type { Store } from '../../../src/store/store.ts';
import { connectMachine, createExecution, end, report } from './place.ts';

const [action, path = ''] = process.argv.slice(2);

if (action === 'migrate') {
  process.stdout.write('ready');
  await once(process.stdin.resume(), 'end');
  const db = openDatabase(path);
  migrate(db, 0);
  db.close();
} else if (action === 'crash') {
  const store = openSqliteStore({ path });
  await connectMachine(store);
  await createExecution(store, 'e', { sealedInput: Buffer.from('SECRET-'.repeat(3000)) });
  await end(store, 'e');
  process.kill(process.pid, 'SIGKILL');
} else {
  const store = openSqliteStore({ path });
  await connectMachine(store);
  await Promise.all(Array.from({ length: 16 }, (_, number) => burst(store, number)));
}

/** Prints what the store has acknowledged: `EXECUTION_ID REPORTED`. */
async function burst(store: Store, number: number): Promise<void> {
  for (let turn = 0; ; turn++) {
    const executionId = `e-${number}-${turn}`;
    await createExecution(store, executionId);
    process.stdout.write(`${executionId} 0\n`);
    await report(store, executionId, 1, 1, Buffer.from('{}'));
    await report(store, executionId, 2, 2, Buffer.alloc(20_000));
    process.stdout.write(`${executionId} 2\n`);
  }
}
