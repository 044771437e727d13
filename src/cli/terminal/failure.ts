/** Errors of the client, told to people: what is wrong, and what to do. */
import { RefusedError, UnexpectedAnswerError, UnreachableError } from '../../client/main.ts';
import { CliError } from '../cli-error.ts';
import { printError } from '../streams/output.ts';

interface Failure {
  message: string;
  hint?: string | undefined;
  exitCode: number;
}

/** Says on stderr what went wrong. Returns the exit code: 1 unless the error has another. */
export function tell(error: Error): number {
  const { message, hint, exitCode } = failureOf(error);
  printError(`execplane: ${message}\n${hint === undefined ? '' : `${hint}\n`}`);
  return exitCode;
}

/** What is told of an error. */
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
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the name cannot be looked up now',
  ECONNRESET: 'the connection was cut',
  UND_ERR_SOCKET: 'the connection was cut',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  EPIPE: 'the connection was cut',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed (name it with EXECPLANE_CA_FILE)',
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS (is it http:// instead of https://?)',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS (is it http:// instead of https://?)',
  HPE_INVALID_CONSTANT: 'it does not speak HTTP (is it https:// instead of http://?)',
};

function unreachable(error: UnreachableError): Omit<Failure, 'exitCode'> {
  const known = codesOf(error).map((code) => REASONS[code]);
  const reason = known.find((text) => text !== undefined);
  return {
    message: reason === undefined ? `${error.message}.` : `${error.origin} cannot be reached: ${reason}.`,
    hint: 'Is the server running (execplane up)? Is this its address (EXECPLANE_URL)?',
  };
}

/** The codes of an error and of its causes; a host with several addresses gives one error for each. */
function codesOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const own = 'code' in error ? [String(error.code)] : [];
  const inner = error instanceof AggregateError ? error.errors : [error.cause];
  return [...own, ...inner.flatMap(codesOf)];
}

function unexpected(error: UnexpectedAnswerError): Omit<Failure, 'exitCode'> {
  const hint =
    error.location === undefined
      ? 'Another program answers at this address, or a proxy in front of the server does. Check EXECPLANE_URL.'
      : 'Use the address that it points to (EXECPLANE_URL): redirects are not followed, so that the key goes nowhere else.';
  return { message: `${error.message}.`, hint };
}

function hintFor({ status, code, path }: RefusedError): string | undefined {
  if (status === 401) return 'Check EXECPLANE_API_KEY, or run "execplane login".';
  if (code === 'EXECUTION_NOT_FINISHED') return 'Follow it with "execplane executions logs -f".';
  if (code === 'AUTH_SCOPE_FORBIDDEN') return 'Use a key that may: "execplane keys ls" shows what each allows.';
  return status === 404 ? `See "execplane ${listFor(path)}" for what there is.` : undefined;
}

/** The command that lists what was not found there. */
function listFor(path: string): string {
  const [, resource, id, below, execution] = /\/v1\/([^/]+)(?:\/([^/]+)(?:\/([^/]+)(?:\/([^/]+))?)?)?/.exec(path) ?? [];
  if (resource === 'api-keys') return 'keys ls';
  if (resource === 'join-tokens') return 'tokens ls';
  if (resource === 'batches') return 'batches ls';
  return below === 'executions' && execution !== undefined ? `executions ls ${id}` : 'machines ls';
}
