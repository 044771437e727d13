/**
 * Converts the validated body of a create to a request to the control plane, checks the rules that a schema cannot express, and interprets
 * the result.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isArtifactName, isArtifactPattern } from '../../../core/artifact.ts';
import type { ServerConfig } from '../../config.ts';
import type { ControlPlane, CreateRequest } from '../../control/control.ts';
import type { RateLimiter } from '../authentication/rate-limit.ts';
import { type FieldError, invalid, notFound } from '../replies/problem.ts';
import { replayedResource } from './idempotency.ts';
import type { CreateExecution } from '../../../api/execution.ts';
import { ApiError } from '../../../core/errors.ts';
import type { Execution } from '../../../store/store.ts';
import { machineRefusal } from '../replies/machine-refusal.ts';
import { findMachine } from './lookup.ts';
import type { CreateResult } from '../../control/control.ts';

type Stdin = CreateRequest['stdin'];

/** Throws RATE_LIMITED if the key creates too many executions, terminals, batches or schedules each second. */
export function assertCreateAllowed({ creates }: { creates: RateLimiter }, { principal }: FastifyRequest): void {
  const retryAfterMs = creates.take(principal.apiKeyId);
  if (retryAfterMs > 0) throw new ApiError('RATE_LIMITED', { retryAfterMs });
}

/** Throws a 422 if the env is larger than any machine accepts. */
export function assertEnvFits(env: Readonly<Record<string, string>>, limits: CreateLimits): void {
  const errors: FieldError[] = [];
  refuseTooMuch({ command: [], env }, limits, errors);
  if (errors.length > 0) throw invalid(errors);
}

/** Throws RATE_LIMITED if the key may not keep `bytes` more bytes of commands on the server. */
export async function assertMayKeep(
  control: Pick<ControlPlane, 'mayKeep'>,
  p: Parameters<ControlPlane['mayKeep']>[0],
): Promise<void> {
  if (!(await control.mayKeep(p))) throw keyQueueFull();
}

function keyQueueFull(): ApiError {
  return new ApiError('RATE_LIMITED', {
    message:
      'The waiting requests of this API key are too large together (EXECPLANE_MAX_QUEUED_BYTES_PER_KEY). Try again later.',
  });
}

/** Limits of a request, whatever the machine accepts. */
export type CreateLimits = Pick<ServerConfig, 'maxArgs' | 'maxArgsBytes' | 'maxEnv' | 'maxEnvBytes'>;

/** Converts a body. Throws a 422 for a request that matches the schema and that no machine could run. */
export function createRequestOf(
  body: CreateExecution,
  p: Pick<CreateRequest, 'machineId' | 'createdBy'>,
  limits: CreateLimits,
): CreateRequest {
  const errors: FieldError[] = [];
  if (body.command[0] === '') errors.push({ location: 'body.command[0]', message: 'must not be empty', value: '' });
  refuseTooMuch(body, limits, errors);
  if (body.callback_url !== undefined && !isPlainUrl(body.callback_url)) {
    errors.push({ location: 'body.callback_url', message: 'must be an http or https URL without credentials' });
  }
  refuseArtifacts(body, errors);
  const stdin = stdinOf(body, errors);
  if (errors.length > 0) throw invalid(errors);
  return {
    machineId: p.machineId,
    createdBy: p.createdBy,
    command: body.command,
    stdin,
    env: body.env ?? {},
    // An empty working directory comes from an unset variable of the caller: the default applies, as with `docker exec --workdir ''`.
    ...(body.cwd === undefined || body.cwd === '' ? {} : { cwd: body.cwd }),
    ...(body.user === undefined ? {} : { user: body.user }),
    ...(body.timeout_ms === undefined || body.timeout_ms === 0 ? {} : { timeoutMs: body.timeout_ms }),
    ...(body.start_within_ms === undefined ? {} : { startWithinMs: body.start_within_ms }),
    ...(body.callback_url === undefined ? {} : { callbackUrl: body.callback_url }),
    ...(body.tty === undefined ? {} : { tty: body.tty }),
    ...(body.limits === undefined || Object.keys(body.limits).length === 0 ? {} : { limits: body.limits }),
    ...(body.output_mode === 'stream' ? { outputMode: 'stream' } : {}),
    ...(body.artifacts === undefined || body.artifacts.length === 0 ? {} : { declaredArtifacts: body.artifacts }),
  };
}

/** Refuses paths that lead out of the working directory, and names that no artifact can have. */
function refuseArtifacts({ artifacts = [] }: CreateExecution, errors: FieldError[]): void {
  for (const [index, { path, name }] of artifacts.entries()) {
    const location = `body.artifacts[${index}]`;
    if (!isArtifactPattern(path)) {
      errors.push({ location: `${location}.path`, message: 'must be relative, without ..', value: path });
    }
    if (name !== undefined && !isArtifactName(name)) {
      errors.push({ location: `${location}.name`, message: 'must be relative, without . and ..', value: name });
    }
  }
}

/** Refuses too large a command or environment. Counts like execve(2): each text with its terminating NUL. */
function refuseTooMuch(
  { command, env = {} }: Pick<CreateExecution, 'command' | 'env'>,
  limits: CreateLimits,
  errors: FieldError[],
): void {
  const refuse = (location: string, unit: string, limit: number): void => {
    errors.push({ location, message: `must not have more than ${limit} ${unit}` });
  };
  const variables = Object.entries(env);
  if (command.length > limits.maxArgs) refuse('body.command', 'elements', limits.maxArgs);
  if (bytesOf(command) > limits.maxArgsBytes) refuse('body.command', 'bytes', limits.maxArgsBytes);
  if (variables.length > limits.maxEnv) refuse('body.env', 'variables', limits.maxEnv);
  if (bytesOf(variables.flat()) > limits.maxEnvBytes) refuse('body.env', 'bytes', limits.maxEnvBytes);
}

function bytesOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0);
}

function stdinOf(body: CreateExecution, errors: FieldError[]): Stdin {
  if (body.stdin_open === true) {
    if (body.stdin !== undefined) errors.push({ location: 'body.stdin', message: 'must be absent with stdin_open' });
    return { mode: 'open' };
  }
  if (body.tty !== undefined) {
    if (body.stdin !== undefined) errors.push({ location: 'body.stdin', message: 'must be absent with tty' });
    return { mode: 'open' };
  }
  if (body.stdin === undefined) return { mode: 'none' };
  if (body.stdin_encoding !== 'base64') return { mode: 'fixed', bytes: Buffer.from(body.stdin, 'utf8') };
  const bytes = Buffer.from(body.stdin, 'base64');
  if (!isBase64Of(bytes, body.stdin)) errors.push({ location: 'body.stdin', message: 'must be base64' });
  return { mode: 'fixed', bytes };
}

/**
 * Whether a text, from which Buffer.from decoded `bytes`, is base64 with padding (RFC 4648 §4). Buffer.from takes - and _ as well, reads only
 * the low byte of other characters, and ignores the rest, so that the bytes are too few. A regular expression takes 20 ms for 16 MiB.
 */
function isBase64Of(bytes: Buffer, text: string): boolean {
  const padding = text.endsWith('==') ? 2 : Number(text.endsWith('='));
  const isPlain = Buffer.byteLength(text) === text.length && !text.includes('-') && !text.includes('_');
  return isPlain && bytes.length === (text.length / 4) * 3 - padding;
}

function isPlainUrl(text: string): boolean {
  // The URL parser drops line breaks, and encodes other control characters.
  if (/\p{Cc}/u.test(text)) return false;
  const url = URL.parse(text);
  return url !== null && url.hostname !== '' && url.username === '' && url.password === '';
}

/** Returns the created execution, or the id that an earlier request with this Idempotency-Key created. Throws for a refusal. */
export async function createdExecution(
  context: Parameters<typeof findMachine>[0],
  machineId: string,
  made: CreateResult,
  reply: FastifyReply,
): Promise<Execution | string> {
  switch (made.outcome) {
    case 'created':
      return made.execution;
    case 'machine_not_found':
      throw notFound('The machine does not exist.');
    case 'machine_removed':
      throw machineRefusal.removed(await findMachine(context, machineId));
    case 'queue_full':
      throw new ApiError('RATE_LIMITED', {
        message: 'Too many executions wait for this machine (EXECPLANE_MAX_QUEUE). Try again later.',
      });
    case 'key_queue_full':
      throw keyQueueFull();
    default:
      return replayedResource(made, reply);
  }
}
