import type { IncomingMessage } from 'node:http';
import { CliError } from '../cli-error.ts';

/** What error bodies of either kind hold (contract §1, "Errors"). */
interface ErrorBody {
  error_code?: string;
  message?: string;
  detail?: string;
  errors?: { location: string; message: string }[];
  retry_after_ms?: number;
  details?: Record<string, string>;
}

/** The server answered and said no. */
export class ApiFailure extends CliError {
  readonly status: number;
  /** A registered code, as `INVALID_STATE`. */
  readonly code: string | undefined;
  readonly retryAfterMs: number | undefined;
  /** Which of several cases of its code it is, where the server says so. */
  readonly reason: string | undefined;

  /** `url`: what was asked for. */
  constructor(status: number, body: ErrorBody, url: URL) {
    const fields = (body.errors ?? []).map(({ location, message }) => `\n  ${location}: ${message}`).join('');
    const hint = hintFor(status, body.error_code, url);
    super(`${body.message ?? body.detail ?? `HTTP ${status}`}${fields}`, hint === undefined ? {} : { hint });
    this.status = status;
    this.code = body.error_code;
    this.retryAfterMs = body.retry_after_ms;
    this.reason = body.details?.['reason'];
  }

  /** The same request may well work in a moment. */
  get isTransient(): boolean {
    return this.status >= 500 || this.status === 429 || this.status === 408;
  }
}

/** The server did not answer. */
export class UnreachableError extends CliError {
  constructor(url: URL, cause: NodeJS.ErrnoException) {
    const reason = REASONS[cause.code ?? ''] ?? (cause.message || cause.code || cause.name);
    super(`${url.origin} cannot be reached: ${reason}.`, {
      cause,
      hint: 'Is the server running (execplane up)? Is this its address (EXECPLANE_URL)?',
    });
  }
}

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the name cannot be looked up now',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed (name it with EXECPLANE_CA_FILE)',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate authority is unknown (name it with EXECPLANE_CA_FILE)',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate authority is unknown (name it with EXECPLANE_CA_FILE)',
};

/** Reads the body of a refusal; one cut short, or of a proxy in between, still has its status. */
export async function readFailure(response: IncomingMessage, url: URL): Promise<ApiFailure> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch {
    // The status says enough.
  }
  return new ApiFailure(response.statusCode ?? 0, parseBody(Buffer.concat(chunks).toString('utf8')), url);
}

function parseBody(text: string): ErrorBody {
  try {
    return JSON.parse(text) as ErrorBody;
  } catch {
    return {};
  }
}

function hintFor(status: number, code: string | undefined, url: URL): string | undefined {
  if (status === 401) return `Check EXECPLANE_API_KEY, or run "execplane login" for ${url.origin}.`;
  if (code === 'EXECUTION_NOT_FINISHED') return 'Follow it with "execplane executions logs -f".';
  if (code === 'AUTH_SCOPE_FORBIDDEN') return 'Use a key that may: "execplane keys ls" shows what each allows.';
  return status === 404 ? `See "execplane ${listFor(url.pathname)}" for what there is.` : undefined;
}

/** The command that lists what was not found there. */
function listFor(path: string): string {
  const [, resource, id, below, execution] = /\/v1\/([^/]+)(?:\/([^/]+)(?:\/([^/]+)(?:\/([^/]+))?)?)?/.exec(path) ?? [];
  if (resource === 'api-keys') return 'keys ls';
  if (resource === 'join-tokens') return 'tokens ls';
  return below === 'executions' && execution !== undefined ? `executions ls ${id}` : 'machines ls';
}
