import type { Ack, Forget, ServerFrame, Start, StdinAck, Welcome } from '../../core/protocol.ts';
import type { Execution } from './executions/execution.ts';
import type { Executions } from './executions/executions.ts';
import { signalNumber, usageFields } from './executions/outcome.ts';
import { fixedStdin, LiveStdin, type StdinSource } from './executions/stdin.ts';
import type { Instance } from './instance.ts';
import type { Journal } from './journal/journal.ts';
import type { JournalWriter } from './journal/writer.ts';
import type { LinkSocket } from './link-socket.ts';
import type { Outbox } from './outbox.ts';

/** The parts of the runner that the server's frames act on. */
export interface RunnerParts {
  directory: string;
  instance: Instance;
  journal: Journal;
  writer: JournalWriter;
  executions: Executions;
  outbox: Outbox;
  socket: LinkSocket;
  /** The reason why no new work is accepted. */
  refusal(): 'stopping' | 'disk_full' | undefined;
}

/** Handles a frame of the server. A repeated or outdated frame, or one about an unknown execution, changes nothing. */
export function handleServerFrame(parts: RunnerParts, frame: ServerFrame, attachment: Buffer): void {
  const { executions, writer } = parts;
  switch (frame.type) {
    case 'welcome':
      welcome(parts, frame);
      break;
    case 'start':
      start(parts, frame, attachment);
      break;
    case 'cancel':
      executions.get(frame.execution_id)?.end('cancelled', frame.grace_ms);
      break;
    case 'signal':
      signal(executions.get(frame.execution_id), frame.signal);
      break;
    case 'stdin':
      executions.get(frame.execution_id)?.feed(frame, attachment);
      break;
    case 'output_limit':
      executions.get(frame.execution_id)?.limitOutput(frame);
      break;
    case 'resize':
      executions.get(frame.execution_id)?.resize(frame);
      break;
    case 'usage_query':
      sendUsage(parts, frame.execution_id);
      break;
    case 'ack':
      acknowledge(parts, frame.acks);
      break;
    case 'forget':
      forget(parts, frame.execution_ids);
      break;
  }
  writer.schedule();
}

/** Reports to the server whether new work is accepted. */
export function sendCapacity(parts: RunnerParts): void {
  if (!parts.outbox.open) return;
  const reason = parts.refusal();
  parts.socket.send({ type: 'capacity', accepting: reason === undefined, ...(reason && { reason }) });
}

/** Reports to the server the offset of a live stdin, and the position of the writer whose bytes came. */
export function sendStdinAck(parts: RunnerParts, execution: Execution, writer?: StdinAck['writer']): void {
  const { stdin, log } = execution;
  if (stdin === undefined || !parts.outbox.open) return;
  const of = writer === undefined ? {} : { writer };
  parts.socket.send({ type: 'stdin_ack', execution_id: log.executionId, ...stdin.report(), ...of });
}

/** Reports to the server the usage of a command so far. */
function sendUsage({ executions, socket }: RunnerParts, executionId: string): void {
  const usage = executions.get(executionId)?.usage();
  socket.send({ type: 'usage', execution_id: executionId, ...usageFields(usage) });
}

function welcome(parts: RunnerParts, frame: Welcome): void {
  acknowledge(parts, frame.acks);
  forget(parts, frame.forget);
  const windows = { windowBytes: frame.window_bytes, executionWindowBytes: frame.execution_window_bytes };
  parts.outbox.restart(windows, parts.journal.logs.values());
  if (parts.refusal() !== undefined) sendCapacity(parts);
}

/**
 * Accepts a start, once: for this instance, with a number above every accepted one. A stopping runner accepts nothing; then the number stays
 * above the one that the next runner reports, and the server sends the start again.
 */
function start(parts: RunnerParts, frame: Start, attachment: Buffer): void {
  const { instance, journal, executions } = parts;
  const isThisInstance = frame.runner_instance === instance.runnerInstance;
  if (!isThisInstance || frame.dispatch_number <= instance.lastDispatchNumber || parts.refusal() === 'stopping') return;
  instance.lastDispatchNumber = frame.dispatch_number;
  if (journal.logs.has(frame.execution_id)) return;
  const log = journal.accept(frame.execution_id, frame.dispatch_number);
  executions.add(frame, stdinSource(parts, frame, attachment), log);
}

function stdinSource(parts: RunnerParts, frame: Start, attachment: Buffer): StdinSource | undefined {
  if (frame.stdin === 'none') return undefined;
  return frame.stdin === 'open' ? new LiveStdin() : fixedStdin(attachment, parts.directory, frame.dispatch_number);
}

function signal(execution: Execution | undefined, name: string): void {
  const number = signalNumber(name);
  if (number !== undefined) execution?.signal(number);
}

function acknowledge(parts: RunnerParts, acks: Ack['acks']): void {
  for (const [executionId, number] of acks) {
    const log = parts.journal.logs.get(executionId);
    if (log !== undefined) parts.outbox.acknowledged(log, parts.journal.acknowledge(log, number));
  }
}

function forget(parts: RunnerParts, executionIds: Forget['execution_ids']): void {
  for (const executionId of executionIds) {
    const log = parts.journal.logs.get(executionId);
    if (log === undefined) continue;
    parts.journal.forget(log);
    parts.outbox.acknowledged(log, 0);
    parts.executions.get(executionId)?.forget();
  }
}
