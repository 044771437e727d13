/** `execplane/client`: the API for programs. It needs `fetch`, and `WebSocket` for terminals, so it runs in browsers too. */
import { Batches } from './batches/batches.ts';
import { MachineClient } from './machine-client.ts';
import { Audit, JoinTokens, Keys, Machines } from './resources.ts';
import { Schedules } from './batches/schedules.ts';
import { HEALTH } from './http/shapes.ts';
import { Transport, type TransportOptions } from './http/transport.ts';

export type {
  ApiKeyWire as ApiKey,
  CreatedApiKeyWire as CreatedApiKey,
  CreatedJoinTokenWire as CreatedJoinToken,
  JoinTokenWire as JoinToken,
} from '../api/admin.ts';
export type { ArtifactWire as Artifact } from '../api/artifact.ts';
export { Artifacts, type ListArtifactsOptions } from './artifacts.ts';
export type { AuditEntryWire as AuditEntry } from '../api/admin.ts';
export type { BatchWire as Batch, CreateBatch } from '../api/batch.ts';
export { Batches } from './batches/batches.ts';
export type {
  CreateSchedule,
  ScheduleWire as Schedule,
  UpdateSchedule,
} from '../api/schedules/schedule.ts';
export type { ScheduleRunWire as ScheduleRun } from '../api/schedules/run.ts';
export { OVERLAPS } from '../core/schedule.ts';
export { Schedules } from './batches/schedules.ts';
export type { ExecutionWire as Execution } from '../api/execution.ts';
export type { CreateMachine, MachineDetailWire as Machine, MachineWire as MachineListItem } from '../api/machine.ts';
export type { ExecutionOutputWire as ExecutionOutput } from '../api/output.ts';
export {
  ExecplaneError,
  type FieldError,
  OutputTruncatedError,
  RefusedError,
  UnexpectedAnswerError,
  UnreachableError,
} from './http/errors.ts';
export { ExecutionHandle } from './execution-handle.ts';
export type { OutageListener } from './http/outage.ts';
export type { ExecutionEvent, FollowOptions } from './follow-events.ts';
export { FileError, type FileOptions } from './file-command.ts';
export { Files, type FileStat, type ReadOptions, type ResumableContent, type WriteOptions } from './files.ts';
export { type ListExecutionsOptions, MachineClient, type RunOptions, type StartOptions } from './machine-client.ts';
export { List, type Page, type PageOptions } from './http/pages.ts';
export { Audit, JoinTokens, Keys, Machines } from './resources.ts';
export { EXECUTION_STATUSES, type ExecutionStatus } from '../core/execution-status.ts';
export { type ExecutionResult, hasEnded, type RunResult } from './result.ts';
export type { TerminalWire as Terminal } from '../api/terminal.ts';
export { TerminalError, TerminalHandle, type TerminalOptions } from './terminals/terminal-handle.ts';
export {
  type AttachOptions,
  type TerminalEnd,
  type TerminalListener,
  type TerminalSize,
  TerminalStream,
} from './terminals/terminal-stream.ts';
export { StdinClosedError } from './stdin-stream.ts';
export type { TransportOptions as ClientOptions } from './http/transport.ts';

/** A client of one server. */
export class Execplane {
  readonly machines: Machines;
  readonly keys: Keys;
  readonly joinTokens: JoinTokens;
  readonly audit: Audit;
  readonly batches: Batches;
  readonly schedules: Schedules;
  /** Address of the server, without a slash at the end. */
  readonly url: string;
  readonly #transport: Transport;

  constructor(options: TransportOptions) {
    this.#transport = new Transport(options);
    this.url = this.#transport.base;
    this.machines = new Machines(this.#transport);
    this.keys = new Keys(this.#transport);
    this.joinTokens = new JoinTokens(this.#transport);
    this.audit = new Audit(this.#transport);
    this.batches = new Batches(this.#transport);
    this.schedules = new Schedules(this.#transport);
  }

  /** Returns the commands of one machine. Sends no request. */
  machine(machineId: string): MachineClient {
    return new MachineClient(this.#transport, machineId);
  }

  /** Settles if the server is ready. Throws ExecplaneError at once if it is not. */
  async ready({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#transport.json('GET', '/readyz', HEALTH, { signal, attempts: 1 });
  }
}
