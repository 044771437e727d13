/**
 * Runs thousands of links in one process. Each enrols, connects, answers every start as if it ran `/bin/true`, and reconnects with full
 * jitter when its connection closes, with the reports that were not acknowledged. The command `false-on-each N` fails on every Nth machine.
 * argv: URL, number of the first link, number after the last; the join token in JOIN_TOKEN. Prints `connected N` whenever N changes, and
 * with SAY_STARTS `started ID` for each start.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { WebSocket } from 'ws';
import {
  AGENT_PATHS,
  encodeFrame,
  type Hello,
  parseServerFrame,
  type ServerFrame,
  type Start,
} from '../../src/core/protocol.ts';
import { encodeRecord, REPORT_KIND } from '../../src/core/report.ts';
import { inParallel } from '../rounds.ts';

const [url = '', first = '0', end = '0'] = process.argv.slice(2);
const FIRST = Number(first);
const BASE_MS = 250;
const CAP_MS = 10_000;
/** A server checks more than 20 at a time from one address one after the other. */
const ENROLMENTS_AT_A_TIME = 8;
/** An execution has two reports: its start and its end. */
const LAST_REPORT = 2;
const SAYS_STARTS = process.env['SAY_STARTS'] !== undefined;
let connected = 0;
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());

const pool = new Pool(url, { connections: ENROLMENTS_AT_A_TIME });
await inParallel(Number(end) - FIRST, ENROLMENTS_AT_A_TIME, async (turn) => {
  const index = FIRST + turn;
  const credential = `xpa_${randomBytes(32).toString('base64url')}`;
  await enrol(`dm-sim-${index}`, credential);
  void link(index, credential);
});
await pool.close();

async function enrol(machineId: string, credential: string): Promise<void> {
  const body = JSON.stringify({ join_token: process.env['JOIN_TOKEN'], machine_id: machineId, credential });
  const headers = { 'content-type': 'application/json' };
  const { statusCode, body: answer } = await pool.request({ method: 'POST', path: AGENT_PATHS.enrol, headers, body });
  const text = await answer.text();
  if (statusCode !== 200) throw new Error(`enrolment answered ${statusCode}: ${text}`);
}

/** The runner behind a link: it outlives the connections. */
interface Runner {
  index: number;
  lastDispatchNumber: number;
  /** The reports of executions whose end was not acknowledged. */
  unacknowledged: Map<string, Buffer>;
}

async function link(index: number, credential: string): Promise<void> {
  const runner: Runner = { index, lastDispatchNumber: 0, unacknowledged: new Map() };
  let attempt = 0;
  while (!stop.signal.aborted) {
    const welcomed = await connection(credential, runner);
    attempt = welcomed ? 0 : attempt + 1;
    await sleep(Math.random() * Math.min(CAP_MS, BASE_MS * 2 ** attempt), undefined, { signal: stop.signal }).catch(
      () => undefined,
    );
  }
}

/** Runs one connection to its end. Returns whether it got a welcome. */
function connection(credential: string, runner: Runner): Promise<boolean> {
  const headers = { authorization: `Bearer ${credential}` };
  const ws = new WebSocket(`${url.replace('http', 'ws')}${AGENT_PATHS.link}`, { headers, perMessageDeflate: false });
  let welcomed = false;
  const end = (): void => ws.terminate();
  stop.signal.addEventListener('abort', end);
  ws.on('open', () => ws.send(encodeFrame(hello(runner))));
  ws.on('error', () => undefined);
  ws.on('message', (data: Buffer, isBinary) => {
    const parsed = parseServerFrame(isBinary ? data : data.toString());
    if (!parsed.ok) throw new Error(parsed.reason);
    if (parsed.frame.type === 'welcome') {
      welcomed = true;
      countBy(1);
    }
    for (const reports of answersTo(parsed.frame, runner)) ws.send(reports);
  });
  return new Promise((resolve) => {
    ws.on('close', () => {
      stop.signal.removeEventListener('abort', end);
      if (welcomed) countBy(-1);
      resolve(welcomed);
    });
  });
}

function answersTo(frame: ServerFrame, runner: Runner): Iterable<Buffer> {
  const { unacknowledged } = runner;
  if (frame.type === 'forget' || frame.type === 'welcome') {
    for (const id of frame.type === 'forget' ? frame.execution_ids : frame.forget) unacknowledged.delete(id);
  }
  if (frame.type === 'ack' || frame.type === 'welcome') {
    for (const [id, number] of frame.acks) if (number >= LAST_REPORT) unacknowledged.delete(id);
  }
  if (frame.type === 'welcome') return unacknowledged.values();
  if (frame.type !== 'start' || frame.dispatch_number <= runner.lastDispatchNumber) return [];
  runner.lastDispatchNumber = frame.dispatch_number;
  if (SAYS_STARTS) process.stdout.write(`started ${frame.execution_id}\n`);
  const reports = ran(frame, runner.index);
  unacknowledged.set(frame.execution_id, reports);
  return [reports];
}

function countBy(change: number): void {
  connected += change;
  process.stdout.write(`connected ${connected}\n`);
}

function ran({ execution_id: executionId, command: [program, each] }: Start, index: number): Buffer {
  const fails = program === 'false-on-each' && index % Number(each) === 0;
  const end = {
    status: fails ? 'failed' : 'succeeded',
    exit_code: fails ? 1 : 0,
    stdout_bytes: 0,
    stderr_bytes: 0,
    stdout_truncated: false,
    stderr_truncated: false,
  };
  const record = (kind: number, number: number, payload: object): Buffer =>
    encodeRecord({ kind, executionId, number, at: Date.now(), payload: Buffer.from(JSON.stringify(payload)) });
  return Buffer.concat([record(REPORT_KIND.started, 1, { pid: 1 }), record(REPORT_KIND.ended, LAST_REPORT, end)]);
}

function hello({ index, lastDispatchNumber, unacknowledged }: Runner): Hello {
  return {
    type: 'hello',
    protocol: { min: 1, max: 1 },
    version: 'simulated',
    runner_instance: `simulated-${index}`,
    boot_id: 'simulated',
    last_dispatch_number: lastDispatchNumber,
    clock_ms: Date.now(),
    max_concurrency: 64,
    facts: { vcpu: 1, memory_mib: 1024, storage_gib: 10 },
    held: [...unacknowledged.keys()].map((id) => ({ execution_id: id, state: 'ended', reported: LAST_REPORT })),
  };
}
