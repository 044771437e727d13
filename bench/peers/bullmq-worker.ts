/** The BullMQ peer: a worker that starts the argv of each job and answers with its output. argv: the socket of Redis, jobs at a time. */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';

interface BullMq {
  Worker: new (
    queue: string,
    process: (job: { data: { command: string[] } }) => Promise<unknown>,
    options: { connection: { path: string; maxRetriesPerRequest: null }; concurrency: number },
  ) => { waitUntilReady(): Promise<unknown>; close(): Promise<void> };
}

const { Worker } = createRequire(import.meta.url)('bullmq') as BullMq;
const run = promisify(execFile);
const [path = '', concurrency = '1'] = process.argv.slice(2);
const worker = new Worker('commands', async ({ data: { command } }) => run(command[0] ?? '', command.slice(1)), {
  connection: { path, maxRetriesPerRequest: null },
  concurrency: Number(concurrency),
});
await worker.waitUntilReady();
process.stdout.write('ready\n');
process.once('SIGTERM', () => process.exit());
