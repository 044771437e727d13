/** Prints errors of the client for people: the message, and a hint. */
import { RefusedError, UnexpectedAnswerError, UnreachableError } from '../../client/main.ts';
import { CliError } from '../cli-error.ts';
import { proxyFor } from '../../node/proxy.ts';
import { environment } from '../config.ts';
import { printError } from '../streams/output.ts';

interface Failure {
  message: string;
  hint?: string | undefined;
  exitCode: number;
}

/** Prints an error to stderr. Returns the exit code: 1 unless the error has another. */
export function tell(error: Error): number {
  const { message, hint, exitCode } = failureOf(error);
  printError(`execplane: ${message}\n${hint === undefined ? '' : `${hint}\n`}`);
  return exitCode;
}

/** Returns the message and the hint of an error. */
export function failureOf(error: Error): Failure {
  if (error instanceof CliError) return { message: error.message, hint: error.hint, exitCode: error.exitCode };
  if (error instanceof RefusedError) return { message: error.message, hint: hintFor(error), exitCode: 1 };
  if (error instanceof UnreachableError) return { ...unreachable(error), exitCode: 1 };
  if (error instanceof UnexpectedAnswerError) return { ...unexpected(error), exitCode: 1 };
  const exitCode = 'exitCode' in error && typeof error.exitCode === 'number' ? error.exitCode : 1;
  return { message: error.message, exitCode };
}

const UNKNOWN_AUTHORITY = 'its certificate authority is unknown (name it with EXECPLANE_CA_FILE)';
const REASONS: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'the host does not exist',
  EAI_AGAIN: 'the name lookup failed for now',
  ECONNRESET: 'the connection was cut',
  UND_ERR_SOCKET: 'the connection was cut',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  EPIPE: 'the connection was cut',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed (name it with EXECPLANE_CA_FILE)',
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS (try http:// instead of https://)',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS (try http:// instead of https://)',
  EPROTO: 'it does not speak TLS (try http:// instead of https://), or refused the handshake',
  HPE_INVALID_CONSTANT: 'it does not speak HTTP (try https:// instead of http://)',
};

function unreachable(error: UnreachableError): Omit<Failure, 'exitCode'> {
  const known = codesOf(error).map((code) => REASONS[code]);
  const reason = known.find((text) => text !== undefined);
  const proxy = proxyFor(new URL(error.origin), environment());
  if (proxy !== undefined) {
    return {
      message: `${error.origin} cannot be reached through the proxy ${proxy.host}: ${reason ?? innermost(error)}.`,
      hint: 'Check the proxy (HTTPS_PROXY, HTTP_PROXY or ALL_PROXY). NO_PROXY names the hosts that are reached without it.',
    };
  }
  return {
    message: reason === undefined ? `${error.message}.` : `${error.origin} cannot be reached: ${reason}.`,
    hint: 'Check that the server runs, and that EXECPLANE_URL (or --url) is its address.',
  };
}

/** Returns the message of the innermost cause. */
function innermost({ message, cause }: Error): string {
  return cause instanceof Error ? innermost(cause) : message;
}

/** Returns the codes of an error and of its causes. A host with several addresses gives one error for each. */
function codesOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const own = 'code' in error ? [String(error.code)] : [];
  const inner = error instanceof AggregateError ? error.errors : [error.cause];
  return [...own, ...inner.flatMap(codesOf)];
}

function unexpected(error: UnexpectedAnswerError): Omit<Failure, 'exitCode'> {
  return { message: `${error.message}.`, hint: hintForUnexpected(error) };
}

function hintForUnexpected({ location, mismatch }: UnexpectedAnswerError): string {
  if (location !== undefined)
    return 'Set EXECPLANE_URL to the address that it points to. The program follows no redirects, so that no other host gets the key.';
  if (mismatch !== undefined)
    return 'The server may be older than this program: compare "execplane --version" on both. Or another program answers: check EXECPLANE_URL.';
  return 'Another program, or a proxy in front of the server, answers at this address. Check EXECPLANE_URL.';
}

function hintFor({ status, code, path, prefix }: RefusedError): string | undefined {
  if (status === 401) return 'Check EXECPLANE_API_KEY, or run "execplane login".';
  if (code === 'EXECUTION_NOT_FINISHED') return 'Follow it with "execplane executions logs -f".';
  if (code === 'AUTH_SCOPE_FORBIDDEN')
    return 'Use a key with the scope: "execplane keys ls" shows the scopes of each key.';
  if (status !== 404) return undefined;
  const list = `List what exists with "execplane ${listFor(path)}".`;
  return prefix === ''
    ? list
    : `${list} If that fails too, the address of the server (EXECPLANE_URL) is wrong: its path ${prefix} is right only if a proxy maps it to the server.`;
}

/** Returns the command that lists the objects of the kind that was not found. */
function listFor(path: string): string {
  const [, resource, id, below, execution] = /\/v1\/([^/]+)(?:\/([^/]+)(?:\/([^/]+)(?:\/([^/]+))?)?)?/.exec(path) ?? [];
  if (resource === 'api-keys') return 'keys ls';
  if (resource === 'join-tokens') return 'tokens ls';
  if (resource === 'batches' || resource === 'schedules') return `${resource} ls`;
  if (below === 'artifacts' && execution !== undefined) return `artifacts ls ${id}`;
  return below === 'executions' && execution !== undefined ? `executions ls ${id}` : 'machines ls';
}
