/** Statuses as text, with a colour and a shape, so that colours need not be distinguished. */
import type { Batch } from '../data/batches.ts';
import type { Schedule } from '../data/schedules.ts';
import type { Machine } from '../data/machines.ts';
import type { Execution } from '../data/executions.ts';

type Tone = 'good' | 'bad' | 'busy' | 'warn' | 'idle' | 'wake';
interface Look {
  text: string;
  tone: Tone;
  shape?: 'hollow' | 'square';
}

const EXECUTION: Record<Execution['status'], Look> = {
  wake_in_progress: { text: 'Waiting', tone: 'wake', shape: 'hollow' },
  queued: { text: 'Queued', tone: 'idle', shape: 'hollow' },
  running: { text: 'Running', tone: 'busy' },
  succeeded: { text: 'Succeeded', tone: 'good' },
  failed: { text: 'Failed', tone: 'bad', shape: 'square' },
  cancelled: { text: 'Cancelled', tone: 'idle', shape: 'square' },
  expired: { text: 'Expired', tone: 'warn', shape: 'square' },
};

const PHASE: Record<Machine['status']['phase'], Look> = {
  accepted: { text: 'Requested', tone: 'wake', shape: 'hollow' },
  placement_pending: { text: 'Being created', tone: 'wake', shape: 'hollow' },
  starting: { text: 'Starting', tone: 'wake', shape: 'hollow' },
  running: { text: 'Online', tone: 'good' },
  stopping: { text: 'Going to sleep', tone: 'wake', shape: 'hollow' },
  sleeping: { text: 'Asleep', tone: 'idle', shape: 'hollow' },
  destroying: { text: 'Being removed', tone: 'warn', shape: 'hollow' },
  destroyed: { text: 'Removed', tone: 'idle', shape: 'square' },
  failed: { text: 'Failed', tone: 'bad', shape: 'square' },
};

/** Reasons that are more specific than their phase. */
const REASON: Readonly<Record<string, Look>> = {
  agent_away: { text: 'Offline', tone: 'warn', shape: 'square' },
  never_joined: { text: 'Not joined', tone: 'idle', shape: 'hollow' },
};

export const EXECUTION_STATUSES = Object.entries(EXECUTION).map(([status, { text }]) => ({ status, text }));

/** Returns the status of an execution in words. */
export function executionStatusText(status: Execution['status']): string {
  return EXECUTION[status].text;
}

export function ExecutionStatus({ status }: { status: Execution['status'] }) {
  return <Badge look={EXECUTION[status]} />;
}

const BATCH: Record<Batch['status'], Look> = {
  running: EXECUTION.running,
  succeeded: EXECUTION.succeeded,
  failed: EXECUTION.failed,
  cancelled: EXECUTION.cancelled,
};

export function BatchStatus({ status }: { status: Batch['status'] }) {
  return <Badge look={BATCH[status]} />;
}

export function ScheduleStatus({ schedule: { paused } }: { schedule: Schedule }) {
  return <Badge look={paused ? { text: 'Paused', tone: 'idle', shape: 'square' } : { text: 'Active', tone: 'good' }} />;
}

/** Returns the state of a machine in words. */
export function machineStatusText({ status }: Pick<Machine, 'status'>): string {
  return lookOf(status).text;
}

export function MachineStatus({ machine }: { machine: Pick<Machine, 'status'> }) {
  return <Badge look={lookOf(machine.status)} />;
}

function lookOf({ phase, reason }: Machine['status']): Look {
  return REASON[reason] ?? PHASE[phase];
}

function Badge({ look }: { look: Look }) {
  return <span className={`status tone-${look.tone} ${look.shape ?? ''}`}>{look.text}</span>;
}
