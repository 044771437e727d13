/**
 * Runs thousands of links in one process. Each enrols, connects, answers every start as if it ran `/bin/true`, and reconnects with full
 * jitter when its connection closes. argv: URL, number; the join token in JOIN_TOKEN. Prints `connected N` whenever N changes.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { WebSocket } from 'ws';
import { AGENT_PATHS, encodeFrame, type Hello, parseServerFrame, type Start } from '../../src/core/protocol.ts';
import { encodeRecord, REPORT_KIND } from '../../src/core/report.ts';
import { inParallel } from '../rounds.ts';

const [url = '', count = '0'] = process.argv.slice(2);
const total = Number(count);
const BASE_MS = 250;
const CAP_MS = 10_000;
let connected = 0;
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());

const pool = new Pool(url, { connections: 16 });
await inParallel(total, 16, async (index) => {
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

async function link(index: number, credential: string): Promise<void> {
  let attempt = 0;
  let dispatched = 0;
  while (!stop.signal.aborted) {
    const welcomed = await connection(credential, index, dispatched, (number) => {
      dispatched = number;
    });
    attempt = welcomed ? 0 : attempt + 1;
    await sleep(Math.random() * Math.min(CAP_MS, BASE_MS * 2 ** attempt), undefined, { signal: stop.signal }).catch(
      () => undefined,
    );
  }
}

/** Runs one connection to its end. Returns whether it got a welcome. */
function connection(
  credential: string,
  index: number,
  last: number,
  taken: (number: number) => void,
): Promise<boolean> {
  const headers = { authorization: `Bearer ${credential}` };
  const ws = new WebSocket(`${url.replace('http', 'ws')}${AGENT_PATHS.link}`, { headers, perMessageDeflate: false });
  let welcomed = false;
  const end = (): void => ws.terminate();
  stop.signal.addEventListener('abort', end);
  ws.on('open', () => ws.send(encodeFrame(hello(index, last))));
  ws.on('error', () => undefined);
  ws.on('message', (data: Buffer, isBinary) => {
    const parsed = parseServerFrame(isBinary ? data : data.toString());
    if (!parsed.ok) throw new Error(parsed.reason);
    if (parsed.frame.type === 'welcome') {
      welcomed = true;
      countBy(1);
    }
    if (parsed.frame.type === 'start') {
      taken(parsed.frame.dispatch_number);
      ws.send(ran(parsed.frame));
    }
  });
  return new Promise((resolve) => {
    ws.on('close', () => {
      stop.signal.removeEventListener('abort', end);
      if (welcomed) countBy(-1);
      resolve(welcomed);
    });
  });
}

function countBy(change: number): void {
  connected += change;
  process.stdout.write(`connected ${connected}\n`);
}

function ran({ execution_id: executionId }: Start): Buffer {
  const end = {
    status: 'succeeded',
    exit_code: 0,
    stdout_bytes: 0,
    stderr_bytes: 0,
    stdout_truncated: false,
    stderr_truncated: false,
  };
  const record = (kind: number, number: number, payload: object): Buffer =>
    encodeRecord({ kind, executionId, number, at: Date.now(), payload: Buffer.from(JSON.stringify(payload)) });
  return Buffer.concat([record(REPORT_KIND.started, 1, { pid: 1 }), record(REPORT_KIND.ended, 2, end)]);
}

function hello(index: number, lastDispatchNumber: number): Hello {
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
    held: [],
  };
}
