/** The errors of the client: failures of Execplane or of the connection to it. A command that fails is a result, not an error. */
import type { ApiErrorCode } from '../../core/errors.ts';
import type { HttpResponse } from './transport.ts';

/** Base of every error of this library, except those of `AbortSignal`. */
export class ExecplaneError extends Error {
  override readonly name: string = 'ExecplaneError';
}

/** A field of a request that the server refused. */
export interface FieldError {
  /** Path of the field, such as `body.command[1]`. */
  location: string;
  message: string;
}

/** The parts of both shapes of an error body that are read here (docs/api.md, "Errors"). */
interface ErrorBody {
  error_code?: string;
  message?: string;
  detail?: string;
  retryable?: boolean;
  retry_after_ms?: number;
  details?: Record<string, string>;
  errors?: FieldError[];
}

/** The server answered with a refusal. */
export class RefusedError extends ExecplaneError {
  override readonly name = 'RefusedError';
  /** HTTP status. */
  readonly status: number;
  /** A registered code such as `INVALID_STATE`. Absent for 404, 422 and the like. */
  readonly code: ApiErrorCode | undefined;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  /** The time after which to try again, in ms, if the server states it. */
  readonly retryAfterMs: number | undefined;
  /** More details for programs, such as `reason`. */
  readonly details: Readonly<Record<string, string>>;
  /** The fields that the server refused (422). */
  readonly fields: readonly FieldError[];
  /** The path of the request, after the address of the server. */
  readonly path: string;
  /** The path in the address of the server, such as `/prefix`. Empty if it has none. */
  readonly prefix: string;
  /** Identifies the request in the log of the server. */
  readonly requestId: string | undefined;

  constructor(response: Pick<HttpResponse, 'status' | 'headers'>, body: ErrorBody, path: string, base: string) {
    const fields = body.errors ?? [];
    const lines = fields.map(({ location, message }) => `\n  ${location}: ${message}`).join('');
    super(`${body.message ?? body.detail ?? withoutMessage(response.status)}${lines}`);
    const { status, headers } = response;
    this.prefix = new URL(base).pathname.replace(/\/$/, '');
    if (status === 404 && this.prefix !== '') this.message += ` (${base}${path})`;
    this.status = status;
    this.code = body.error_code as ApiErrorCode | undefined;
    this.retryable = shouldRetry(headers) ?? body.retryable ?? (status >= 500 || status === 429 || status === 408);
    this.retryAfterMs = body.retry_after_ms ?? retryAfter(headers);
    this.details = body.details ?? {};
    this.fields = fields;
    this.path = path;
    this.requestId = headers.get('x-request-id') ?? undefined;
  }
}

/** The statuses with which a proxy answers that reaches no server. */
const GATEWAY_STATUSES = new Set([502, 503, 504]);

/** Returns the message for an answer without one. Execplane always states one, so the answer comes from a proxy in front of it. */
function withoutMessage(status: number): string {
  return GATEWAY_STATUSES.has(status)
    ? `HTTP ${status} from a proxy: it reaches no server of Execplane that is ready`
    : `HTTP ${status}`;
}

/** The server did not answer, or its answer broke off. */
export class UnreachableError extends ExecplaneError {
  override readonly name = 'UnreachableError';
  /** The origin of the server. */
  readonly origin: string;

  constructor(origin: string, { cause }: { cause: unknown }) {
    super(`${origin} cannot be reached: ${innermostMessage(cause)}`, { cause });
    this.origin = origin;
  }
}

/** The answer is not one of the API: it is a redirect, or comes from a proxy, another server, or a server of another version. */
export class UnexpectedAnswerError extends ExecplaneError {
  override readonly name = 'UnexpectedAnswerError';
  readonly status: number;
  /** The target of a redirect. */
  readonly location: string | undefined;
  /** The first field that is missing or of another type, such as "`status` is missing", if the answer is JSON. */
  readonly mismatch: string | undefined;

  constructor(
    response: Pick<HttpResponse, 'status' | 'headers'>,
    { origin, mismatch }: { origin: string; mismatch?: string | undefined },
  ) {
    const { status, headers } = response;
    const location = headers.get('location') ?? undefined;
    const type = headers.get('content-type') ?? 'no content type';
    const received = location === undefined ? `HTTP ${status} with ${type}` : `a redirect (${status}) to ${location}`;
    const detail = mismatch === undefined ? '' : `, in which ${mismatch}`;
    super(`${origin} does not answer as Execplane does: it answers ${received}${detail}`);
    this.status = status;
    this.location = location;
    this.mismatch = mismatch;
  }

  /** Statuses of gateways while the server behind them restarts. */
  get retryable(): boolean {
    return this.status >= 500 || this.status === 429 || this.status === 408;
  }
}

/** The server kept less of the output than the command wrote. */
export class OutputTruncatedError extends ExecplaneError {
  override readonly name = 'OutputTruncatedError';

  constructor(stream: 'stdout' | 'stderr', kept: number, written: number) {
    super(`${stream} is not complete: the server kept ${kept} of ${written} bytes`);
  }
}

/** Reads a refusal. Without a complete body, only the status is used. */
export async function readRefusal(
  response: HttpResponse,
  base: string,
  path: string,
): Promise<RefusedError | UnexpectedAnswerError> {
  const text = await response.text().catch(() => '');
  const body: ErrorBody | undefined = parseObject(text);
  const foreign = response.status < 400 || (body === undefined && response.headers.has('content-type'));
  if (foreign) return new UnexpectedAnswerError(response, { origin: base });
  return new RefusedError(response, body ?? {}, path, base);
}

/** Whether the same request may succeed soon. */
export function isRetryable(error: unknown): boolean {
  if (error instanceof RefusedError || error instanceof UnexpectedAnswerError) return error.retryable;
  return error instanceof UnreachableError;
}

/** Parses a JSON object. Undefined if the text is not one. */
export function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function shouldRetry(headers: HttpResponse['headers']): boolean | undefined {
  const header = headers.get('x-should-retry');
  return header === null ? undefined : header === 'true';
}

function retryAfter(headers: HttpResponse['headers']): number | undefined {
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
}

/** Returns the message of the innermost cause. The message of `fetch` itself is only "fetch failed". */
function innermostMessage(error: unknown): string {
  let message = String(error);
  for (let inner: unknown = error; inner instanceof Error; inner = inner.cause) {
    message = inner.message || ('code' in inner ? String(inner.code) : message);
  }
  return message;
}
