/** A process that uses a store: `open PATH` opens, writes and closes; `burst PATH` writes until it is killed. */
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import { connectMachine, createExecution, report } from './place.ts';

const [action, path = ''] = process.argv.slice(2);
const store = openSqliteStore({ path });

if (action === 'open') {
  await store.checkWritable();
  await store.close();
} else {
  await connectMachine(store);
  await Promise.all(Array.from({ length: 16 }, (_, lane) => burst(lane)));
}

/** Prints what the store has acknowledged: `EXECUTION_ID REPORTED`. */
async function burst(lane: number): Promise<void> {
  for (let turn = 0; ; turn++) {
    const executionId = `e-${lane}-${turn}`;
    await createExecution(store, executionId);
    process.stdout.write(`${executionId} 0\n`);
    await report(store, executionId, 1, 1, Buffer.from('{}'));
    await report(store, executionId, 2, 2, Buffer.alloc(20_000));
    process.stdout.write(`${executionId} 2\n`);
  }
}
