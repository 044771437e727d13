/** The invariants of every execution of a chaos run. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { MachineClient, WireEvent, WireExecution } from '../helpers/client.ts';
import { isTerminal } from '../helpers/client.ts';
import { commandLine, processesWith } from '../helpers/processes.ts';
import type { StreamReader } from '../helpers/stream-reader.ts';
import type { Task } from './workload.ts';

export interface Created {
  task: Task;
  id: string;
  /** Its stdout as a reader has it that followed and released it. Rejects if the reader was refused. */
  read?: Promise<Pick<StreamReader, 'offset' | 'sha256'>>;
}

/**
 * Returns the broken invariants of these executions; none if all hold. `mayBeLost`: a runner was killed. `known`: the ids that may
 * be in the file of starts; default: those of `created`.
 */
export async function faultsOf(
  machine: MachineClient,
  created: readonly Created[],
  p: { starts: string; mayBeLost: boolean; known?: ReadonlySet<string> },
): Promise<string[]> {
  const { starts, mayBeLost, known = new Set(created.map(({ id }) => id)) } = p;
  const startedIds = existsSync(starts) ? readFileSync(starts, 'utf8').trimEnd().split('\n') : [];
  const counts = new Map<string, number>();
  for (const id of startedIds) counts.set(id, (counts.get(id) ?? 0) + 1);
  const faults: string[] = [];
  for (const one of created) {
    const { task, id } = one;
    const execution = await machine.read(id);
    const events = await machine.events(id, { limit: 1000, encoding: 'base64' });
    const wrong = [
      ...stateFaults(execution, task, counts.get(id) ?? 0, mayBeLost),
      ...logFaults(execution, events),
      ...(task.body.output_mode === undefined
        ? [
            ...eventFaults(execution, events, 'stdout', task.stdout),
            ...eventFaults(execution, events, 'stderr', task.stderr),
          ]
        : await readerFaults(machine, execution, one)),
      ...processesWith(`EXECUTION_ID=${id}`).map((pid) => `left running: ${commandLine(pid)}`),
    ];
    faults.push(
      ...wrong.map((text) => `${id} (${task.kind}, ${execution.status} ${execution.error_code ?? ''}): ${text}`),
    );
  }
  for (const id of startedIds) if (id !== '' && !known.has(id)) faults.push(`started, but nobody created it: ${id}`);
  return faults;
}

function stateFaults(execution: WireExecution, task: Task, starts: number, mayBeLost: boolean): string[] {
  const end = execution.error_code ?? execution.status;
  const faults: string[] = [];
  if (!isTerminal(execution.status)) faults.push('has not ended');
  // A cancellation may come too late, but not a timeout: only the death of the runner prevents it.
  const natural = task.cancelAfterMs === undefined ? [] : ['succeeded'];
  const lost = mayBeLost ? ['agent_lost'] : [];
  if (![...task.ends, ...natural, ...lost].includes(end)) faults.push(`ended as ${end}: ${execution.error_message}`);
  if (starts > 1) faults.push(`was started ${starts} times`);
  if (starts !== 1 && (end === 'succeeded' || end === 'nonzero_exit'))
    faults.push(`was started ${starts} times, not once`);
  if (execution.started_at === undefined && starts > 0 && end !== 'agent_lost' && end !== 'cancelled') {
    faults.push('was started, but has no started_at');
  }
  return faults;
}

function logFaults(execution: WireExecution, events: readonly WireEvent[]): string[] {
  const faults: string[] = [];
  events.forEach(({ sequence }, n) => {
    if (sequence !== n + 1) faults.push(`event ${n + 1} has sequence ${sequence}`);
  });
  events.forEach(({ at }, n) => {
    if (n > 0 && at < (events[n - 1]?.at ?? '')) faults.push(`time goes back at sequence ${n + 1}`);
  });
  const ends = events.filter(({ status }) => status !== undefined && isTerminal(status));
  if (ends.length !== 1) faults.push(`${ends.length} terminal events`);
  const last = events.at(-1);
  if (last?.status !== execution.status) faults.push(`its last event is ${last?.type} ${last?.status}`);
  return faults;
}

/** Expects that a reader of output in stream mode got the whole stdout, or a prefix if the runner was lost. */
async function readerFaults(
  machine: MachineClient,
  execution: WireExecution,
  { task, id, read }: Created,
): Promise<string[]> {
  const got = read === undefined ? ofBytes(await machine.raw(id)) : await read.catch((error: Error) => error);
  const isLost = execution.error_code === 'agent_lost';
  // Runner and server may be lost together, with bytes that the reader has: then it is refused.
  if (got instanceof Error) return isLost ? [] : [`its reader was refused: ${got.message}`];
  const wanted = Buffer.from(task.stdout);
  const faults: string[] = [];
  if (got.sha256 !== sha256(wanted.subarray(0, got.offset)))
    faults.push(`its reader got ${got.offset} bytes, and others than were printed`);
  if (isLost) return faults;
  if (got.offset !== wanted.length) faults.push(`its reader got ${got.offset} bytes of ${wanted.length}`);
  if (execution.stdout_bytes !== wanted.length)
    faults.push(`stdout_bytes is ${execution.stdout_bytes}, not ${wanted.length}`);
  const stderr = (await machine.raw(id, 'stderr')).toString();
  if (stderr !== task.stderr) faults.push(`stderr is ${JSON.stringify(stderr)}`);
  return faults;
}

function ofBytes(bytes: Buffer): { offset: number; sha256: string } {
  return { offset: bytes.length, sha256: sha256(bytes) };
}

/** Expects the whole output if the command ran to its end, otherwise a prefix of the output. */
function eventFaults(
  execution: WireExecution,
  events: readonly WireEvent[],
  stream: 'stdout' | 'stderr',
  expected: string,
): string[] {
  const chunks = events.filter(({ type }) => type === stream).map(({ chunk }) => Buffer.from(chunk ?? '', 'base64'));
  const bytes = Buffer.concat(chunks);
  const whole = execution.status === 'succeeded' || execution.error_code === 'nonzero_exit';
  const wanted = Buffer.from(expected);
  const compared = whole ? wanted : wanted.subarray(0, bytes.length);
  if (sha256(bytes) !== sha256(compared)) {
    const n = bytes.findIndex((byte, index) => byte !== compared[index]);
    return [`${stream} differs: ${bytes.length} bytes of ${wanted.length}, first at ${n}`];
  }
  const counted = execution[`${stream}_bytes`];
  if (whole && counted !== wanted.length) return [`${stream}_bytes is ${counted}, not ${wanted.length}`];
  return [];
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Returns the errors that SQLite finds in the databases in `dir`. The server must have stopped. */
export function databaseFaults(dir: string): string[] {
  const files = readdirSync(dir).filter(
    (name) => readFileSync(join(dir, name)).subarray(0, 15).toString() === 'SQLite format 3',
  );
  if (files.length === 0) return [`no database in ${dir}`];
  return files.flatMap((name) => {
    const database = new Database(join(dir, name), { readonly: true });
    try {
      const result = database.pragma('integrity_check', { simple: true });
      return result === 'ok' ? [] : [`${name}: ${String(result)}`];
    } finally {
      database.close();
    }
  });
}
