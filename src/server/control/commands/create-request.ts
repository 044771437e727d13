/** Creates of executions: the request after validation, its result, and the port through which they are made. */
import type { Context } from '@opentelemetry/api';
import { customAlphabet } from 'nanoid';
import type { DeclaredArtifact } from '../../../core/artifact.ts';
import type { Limits, TerminalSize } from '../../../core/launch-options.ts';
import type { CreateOutcome, OnBehalf } from '../../../store/store.ts';

/** 16 letters and digits: 95 random bits, legal at the end of an id. */
const randomPart = customAlphabet('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz', 16);

/** A create request after validation. */
export interface CreateRequest extends OnBehalf {
  machineId: string;
  command: readonly string[];
  stdin: { mode: 'none' } | { mode: 'fixed'; bytes: Buffer } | { mode: 'open' };
  env: Readonly<Record<string, string>>;
  cwd?: string;
  user?: string;
  /** Absent: no limit. */
  timeoutMs?: number;
  /** Absent: the server's setting. */
  startWithinMs?: number;
  callbackUrl?: string;
  /** Absent: output is kept up to a limit. */
  outputMode?: 'stream';
  tty?: TerminalSize;
  limits?: Limits;
  /** Runs on a terminal (`command`: its shell, or nothing). */
  isTerminal?: true;
  declaredArtifacts?: readonly DeclaredArtifact[];
  createdBy: string;
  /** The span of the request, if it is traced. */
  trace?: Context;
}

/** `key_queue_full`: the waiting requests of its API key, on all machines, are too large together. */
export type CreateResult = CreateOutcome | { outcome: 'key_queue_full' };

/** The id of a create, chosen before it is made. `mayExist`: an earlier attempt may have made it. */
export interface CreateAttempt {
  executionId: string;
  mayExist: boolean;
}

export interface ExecutionCreator {
  create(request: CreateRequest, attempt?: CreateAttempt): Promise<CreateResult>;
}

/** Returns a new id. Ids of about the same time are adjacent in the index, so that a create changes its newest page only. */
export function newExecutionId({ isTerminal }: Pick<CreateRequest, 'isTerminal'>, now: number): string {
  return `${isTerminal ? 'term' : 'ex'}-${now.toString(36)}${randomPart()}`;
}
