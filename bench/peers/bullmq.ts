/** BullMQ: a queue in Redis, a worker in a separate process, and a client that waits for each job by the queue's events. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Peer } from './peer.ts';

interface Connection {
  connection: { path: string; maxRetriesPerRequest: null };
}
interface Events {
  waitUntilReady(): Promise<unknown>;
  setMaxListeners(maximum: number): void;
  close(): Promise<void>;
}
interface BullMq {
  Queue: new (
    name: string,
    options: Connection,
  ) => {
    add(name: string, data: object): Promise<{ waitUntilFinished(events: Events): Promise<{ stdout: string }> }>;
    setMaxListeners(maximum: number): void;
    close(): Promise<void>;
  };
  QueueEvents: new (name: string, options: Connection) => Events;
}

const WORKER = fileURLToPath(new URL('./bullmq-worker.ts', import.meta.url));

/** Starts Redis (which stores nothing on disk: the best case) and a worker of `concurrency`. Throws if one of them is not installed. */
export async function bullmqPeer(concurrency: number): Promise<Peer> {
  const { Queue, QueueEvents } = createRequire(import.meta.url)('bullmq') as BullMq;
  const dir = mkdtempSync(join(tmpdir(), 'execplane-bench-redis-'));
  const path = join(dir, 'redis.sock');
  const redis = spawn('redis-server', ['--port', '0', '--unixsocket', path, '--save', '', '--dir', dir], {
    stdio: 'ignore',
  });
  await once(redis, 'spawn');
  while (!existsSync(path)) await sleep(10);
  const worker = spawn(process.execPath, [WORKER, path, String(concurrency)], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(worker.stdout, 'data');
  const connection = { path, maxRetriesPerRequest: null };
  const queue = new Queue('commands', { connection });
  const events = new QueueEvents('commands', { connection });
  for (const waitedOn of [queue, events]) waitedOn.setMaxListeners(concurrency * 4);
  await events.waitUntilReady();
  return {
    name: 'BullMQ, one worker',
    run: async (command) => {
      const job = await queue.add('command', { command });
      return (await job.waitUntilFinished(events)).stdout.length;
    },
    close: async () => {
      await Promise.all([queue.close(), events.close()]);
      for (const process of [worker, redis]) {
        process.kill('SIGTERM');
        if (process.exitCode === null && process.signalCode === null) await once(process, 'exit');
      }
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
