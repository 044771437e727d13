/**
 * Measures the runner of src/ alone, with a link that acknowledges immediately: starts per second, 32 at a time, output in MB/s, and memory.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LinkToRunner, RunnerToLink } from '../src/agent/runner-socket/frames.ts';
import { encodeSocketFrame, FROM_RUNNER, MessageDecoder } from '../src/agent/runner-socket/messages.ts';
import { decodeRecord, type RawRecord, REPORT_KIND } from '../src/core/report.ts';
import { say, TINY } from './rounds.ts';

const STARTS = TINY ? 40 : 2000;
const AT_A_TIME = 32;
const FLOOD_BYTES = TINY ? 1 << 20 : 256 << 20;

const main = new URL('../src/agent/runner/main.ts', import.meta.url).pathname;
const directory = mkdtempSync(join(tmpdir(), 'execplane-bench-'));
const runner = spawn(process.execPath, [main, '--dir', directory], { stdio: 'inherit' });
while (!existsSync(join(directory, 'runner.sock'))) await sleep(10);
await sleep(100);

const socket = connect(join(directory, 'runner.sock'));
const decoder = new MessageDecoder(FROM_RUNNER);
let onFrame: (frame: RunnerToLink) => void = () => {};
let onRecord: (record: RawRecord) => void = () => {};
let instance = '';
let dispatched = 0;
socket.on('data', (chunk) => {
  for (const message of decoder.push(chunk)) {
    if (message.kind === 'frame') onFrame(message.frame);
    else receive(message.bytes);
  }
});

try {
  const state = await ask('state', { type: 'attach', channel: 1, max_concurrency: AT_A_TIME }, { type: 'prepare' });
  instance = state.runner_instance;
  const welcome = { protocol: 1, version: 'bench', heartbeat_ms: 1000, acks: [], forget: [] };
  send({ type: 'welcome', ...welcome, window_bytes: 8 << 20, execution_window_bytes: 2 << 20 });
  process.stdout.write('\nthe runner alone\n');
  say('runner', 'at rest', memory());
  await starts(STARTS / 8); // warms up
  const before = cpuMs();
  const perSecond = await starts(STARTS);
  const cpuUs = Math.round(((cpuMs() - before) * 1000) / STARTS);
  say('runner', `starts of /bin/true, ${AT_A_TIME} at a time`, { per_second: perSecond, cpu_us_each: cpuUs });
  say('runner', 'after them', memory());
  const beforeFlood = cpuMs();
  const mbPerSecond = await flood();
  say('runner', `${FLOOD_BYTES >> 20} MiB of output`, {
    mb_per_second: mbPerSecond,
    cpu_ms: cpuMs() - beforeFlood,
    ...memory(),
  });
  await sleep(TINY ? 0 : 3000);
  say('runner', 'at rest again', memory());
} finally {
  runner.kill('SIGTERM');
  socket.destroy();
  if (runner.exitCode === null) await once(runner, 'exit');
  rmSync(directory, { recursive: true, force: true });
}

function send(frame: LinkToRunner): void {
  socket.write(encodeSocketFrame(frame));
}

function ask(type: 'state', ...frames: LinkToRunner[]): Promise<Extract<RunnerToLink, { type: 'state' }>> {
  const { promise, resolve } = Promise.withResolvers<Extract<RunnerToLink, { type: 'state' }>>();
  onFrame = (frame) => {
    if (frame.type === type) resolve(frame);
  };
  for (const frame of frames) send(frame);
  return promise;
}

function receive(bytes: Buffer): void {
  const acks = new Map<string, number>();
  for (let at = 0; at < bytes.length; ) {
    const decoded = decodeRecord(bytes, at);
    if (!decoded.ok) throw new Error(decoded.reason);
    at += decoded.bytes;
    acks.set(decoded.record.executionId, decoded.record.number);
    onRecord(decoded.record);
  }
  send({ type: 'ack', acks: [...acks] });
}

function start(executionId: string, command: string[], maxOutputBytes: number): void {
  send({
    type: 'start',
    execution_id: executionId,
    runner_instance: instance,
    dispatch_number: ++dispatched,
    command,
    max_output_bytes: maxOutputBytes,
    stdin: 'none',
    grace_ms: 5000,
  });
}

/** Starts per second. */
async function starts(count: number): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let begun = 0;
  let ended = 0;
  const next = () => {
    if (begun < count) start(`s${dispatched}`, ['/bin/true'], 0);
    begun++;
  };
  onRecord = ({ kind }) => {
    if (kind !== REPORT_KIND.ended) return;
    next();
    if (++ended === count) resolve();
  };
  const from = performance.now();
  for (let i = 0; i < AT_A_TIME; i++) next();
  await promise;
  return (count * 1000) / (performance.now() - from);
}

/** Megabytes per second of one command's output. */
async function flood(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let bytes = 0;
  onRecord = ({ kind, payload }) => {
    if (kind === REPORT_KIND.stdout) bytes += payload.length;
    if (kind === REPORT_KIND.ended) resolve();
  };
  const from = performance.now();
  start('flood', ['/usr/bin/head', '-c', String(FLOOD_BYTES), '/dev/zero'], FLOOD_BYTES);
  await promise;
  if (bytes !== FLOOD_BYTES) throw new Error(`${bytes} bytes came`);
  return bytes / 1000 / (performance.now() - from);
}

function memory(): { rss_mb: number; anonymous_mb: number } {
  const status = readFileSync(`/proc/${runner.pid}/status`, 'utf8');
  const mb = (name: string) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024);
  return { rss_mb: mb('VmRSS'), anonymous_mb: mb('RssAnon') };
}

/** Returns the processor time of the runner itself, ms. */
function cpuMs(): number {
  const fields = readFileSync(`/proc/${runner.pid}/stat`, 'latin1').split(' ');
  return (Number(fields[13]) + Number(fields[14])) * 10;
}
