import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';

/** The last ports that were tried. A server may bind its port a second later, and a concurrent test must not get it meanwhile. */
const tried = new Set<number>();
const MAX_TRIED = 500;

/**
 * Returns a free TCP port. It is below the range of ephemeral ports of the kernel, so it stays free while a test restarts its
 * server. Test files that run in parallel use different ranges.
 */
export async function freePort(): Promise<number> {
  const range = Number(process.env['VITEST_POOL_ID'] ?? 0) % 8;
  for (;;) {
    const port = 20_000 + range * 1500 + (randomBytes(2).readUInt16LE() % 1500);
    if (tried.has(port)) continue;
    if (tried.size === MAX_TRIED) tried.clear();
    tried.add(port);
    const taken = await new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(true));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(false)));
    });
    if (!taken) return port;
  }
}
