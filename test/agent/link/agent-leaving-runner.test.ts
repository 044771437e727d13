import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { attachToRunner } from '../../../src/agent/runner-socket/runner-socket.ts';

test('a runner that exits while a link attaches counts as gone: the link starts another instead of giving up', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'execplane-leaving-'));
  const leaving = createServer((socket) => socket.destroy()).listen(join(dir, 'runner.sock'));
  try {
    await once(leaving, 'listening');
    expect(await attachToRunner(dir, { type: 'attach', channel: 1, max_concurrency: 1 })).toBeUndefined();
  } finally {
    leaving.close();
    rmSync(dir, { recursive: true });
  }
});
