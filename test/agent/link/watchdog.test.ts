/** Watchdog notifications to systemd: sent only while the event loop runs. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readAgentConfig } from '../../../src/agent/config.ts';
import { ConnectionLoop } from '../../../src/agent/link/connection/connection-loop.ts';
import { Liveness } from '../../../src/agent/link/liveness.ts';
import type { RunnerSocket } from '../../../src/agent/runner-socket/runner-socket.ts';
import { startWatchdog } from '../../../src/agent/link/watchdog.ts';

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'execplane-watchdog-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('the watchdog', () => {
  /** Records its arguments, in place of systemd-notify. */
  function notifier(): { program: string; heard: () => string[] } {
    const said = join(dir, 'said');
    const program = join(dir, 'notify');
    writeFileSync(said, '');
    writeFileSync(program, `#!/bin/sh\necho "$1 $NOTIFY_SOCKET" >> ${said}\n`, { mode: 0o755 });
    return { program, heard: () => readFileSync(said, 'utf8').trim().split('\n') };
  }

  test('notifies systemd while the loop runs, and stops when it hangs', async () => {
    const { program, heard } = notifier();
    let alive = true;
    const errors: unknown[] = [];
    const log = { ...SILENT, error: (text: unknown) => errors.push(text) };
    const stop = startWatchdog(
      { socket: '/run/notify', timeoutMs: 60, path: process.env['PATH'] ?? '' },
      { isAlive: () => alive, log, program },
    );
    await expect.poll(() => heard().length, { timeout: 30_000 }).toBeGreaterThan(3);
    alive = false;
    await expect.poll(() => errors.length, { timeout: 30_000 }).toBeGreaterThan(5);
    const before = heard().length;
    // A notification in flight may still arrive.
    await expect.poll(() => errors.length, { timeout: 30_000 }).toBeGreaterThan(20);
    expect(heard().length).toBeLessThanOrEqual(before + 1);
    expect(new Set(heard())).toEqual(new Set(['WATCHDOG=1 /run/notify']));
    stop();
  });

  test('logs once that systemd cannot be notified', async () => {
    const warnings: unknown[] = [];
    const log = { ...SILENT, warn: (...said: unknown[]) => warnings.push(said[1]) };
    let asked = 0;
    const isAlive = () => ++asked > 0;
    const watchdog = { socket: '/run/notify', timeoutMs: 30, path: '' };
    const stop = startWatchdog(watchdog, { isAlive, log, program: join(dir, 'none') });
    await expect.poll(() => asked, { timeout: 30_000 }).toBeGreaterThan(10);
    expect(warnings).toEqual([expect.stringContaining('restart this agent again and again')]);
    stop();
  });
});

describe("systemd's watchdog settings", () => {
  const given = { NOTIFY_SOCKET: '/run/systemd/notify', WATCHDOG_USEC: '120000000', PATH: '/usr/bin' };
  const read = (env: Record<string, string>) => readAgentConfig({}, env).watchdog;

  test('are read if they are for this process', () => {
    const expected = { socket: '/run/systemd/notify', timeoutMs: 120_000, path: '/usr/bin' };
    expect(read({ ...given, WATCHDOG_PID: String(process.pid) })).toEqual(expected);
    expect(read(given)).toEqual(expected);
  });

  test('are ignored if they are for another process or incomplete', () => {
    expect(read({ ...given, WATCHDOG_PID: '1' })).toBeUndefined();
    expect(read({ NOTIFY_SOCKET: '/run/systemd/notify' })).toBeUndefined();
    expect(read({ WATCHDOG_USEC: '120000000' })).toBeUndefined();
  });
});

describe('liveness', () => {
  test('is lost if the expected sign does not come, and back when it comes', () => {
    let now = 0;
    const liveness = new Liveness(() => now);
    expect(liveness.alive).toBe(true);
    liveness.expectWithin(1000);
    now = 1000;
    expect(liveness.alive).toBe(true);
    now = 1001;
    expect(liveness.alive).toBe(false);
    liveness.expectWithin(1000);
    expect(liveness.alive).toBe(true);
  });

  test('is lost during an attempt that never ends, but neither after one that ends nor in the wait that follows', async () => {
    let now = 0;
    const liveness = new Liveness(() => now);
    const leaving = new AbortController();
    const hanging = Promise.withResolvers<void>();
    let attempts = 0;
    const done = new ConnectionLoop({
      runner: async () => ({ instance: 'r' }) as unknown as RunnerSocket,
      connect: async () => {
        attempts += 1;
        if (attempts === 3) await hanging.promise;
        return { cause: 'unreachable', detail: '' };
      },
      renewCredential: async () => false,
      expectWithin: (ms) => liveness.expectWithin(ms),
      random: () => 0,
      log: SILENT as never,
      signal: leaving.signal,
    }).run();
    await expect.poll(() => attempts).toBe(3);
    now = 60_000;
    expect(liveness.alive).toBe(true);
    now = 180_000;
    expect(liveness.alive).toBe(false);
    hanging.resolve();
    await expect.poll(() => liveness.alive).toBe(true);
    leaving.abort();
    await done;
  });
});
