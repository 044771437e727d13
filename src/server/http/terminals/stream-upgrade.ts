/** Handles upgrades for the stream of a terminal: with a valid key or ticket they become a WebSocket, otherwise they are refused. */
import type { IncomingMessage } from 'node:http';
import { Compile } from 'typebox/schema';
import { ApiError } from '../../../core/errors.ts';
import { isTerminal } from '../../../core/execution.ts';
import { type StdinWriter, StdinWriterSchema } from '../../../core/protocol.ts';
import { type Execution, StoreUnavailableError } from '../../../store/store.ts';
import type { ClientConnection, TerminalClientOptions } from '../../control/terminals/terminal-client.ts';
import type { Terminals } from '../../control/terminals/terminals.ts';
import { readTrustedProxies } from '../../trusted-proxies.ts';
import { assertMachine, assertScope, presentedKey } from '../authentication/auth.ts';
import { upgradeAddress } from '../authentication/client-address.ts';
import { actorName, type Principal } from '../authentication/key-ring.ts';
import type { HttpContext } from '../http-context.ts';
import { answerBare } from '../replies/bare-answer.ts';
import { Problem } from '../replies/problem.ts';
import { findTerminal } from '../requests/lookup.ts';
import { createRequestIds } from '../requests/request-ids.ts';
import { createWebSocketServer, type UpgradeHandler } from '../requests/web-sockets.ts';
import { notReady, terminalStatus } from './terminal-wire.ts';

/** Maximum size of a client's message, in bytes. A larger one closes the connection with 1009. */
const MAX_MESSAGE_BYTES = 1024 * 1024;
const stdinWriter = Compile(StdinWriterSchema);
const PATH = /^\/v1\/machines\/([^/]+)\/terminals\/([^/]+)\/stream$/;

/** Whether the upgrade is for the stream of a terminal. */
export function isTerminalStream(request: IncomingMessage): boolean {
  return PATH.test(request.url?.split('?', 1)[0] ?? '');
}

/** Returns the handler for `upgrade` events. It ignores upgrades that are not for a terminal. Never throws. */
export function createStreamUpgrade(context: HttpContext, terminals: Terminals): UpgradeHandler {
  const nextRequestId = createRequestIds();
  const isTrusted = readTrustedProxies(context.config.trustProxy);
  const server = createWebSocketServer(MAX_MESSAGE_BYTES, nextRequestId);
  const upgrade = async (...[request, socket, head]: Parameters<UpgradeHandler>): Promise<void> => {
    const hangUp = (): void => void socket.destroy();
    socket.on('error', hangUp);
    const { principal, execution, options } = await admit(context, terminals, request);
    if (!(await terminals.reserve(execution)))
      throw new ApiError('RATE_LIMITED', { message: 'The terminal has reached its limit of clients.' });
    let isAttached = false;
    try {
      if (socket.destroyed) return;
      const signal = context.openRequests.hold(principal, socket);
      socket.off('error', hangUp);
      server.handleUpgrade(request, socket, head, (ws) => {
        isAttached = true;
        const by = { actor: actorName(principal), source: upgradeAddress(request, isTrusted) };
        attach(context, terminals, { connection: { ws, socket: request.socket }, execution, by, ...options, signal });
      });
    } finally {
      if (!isAttached) terminals.release(execution);
    }
  };
  return (request, socket, head) => {
    if (!isTerminalStream(request)) return;
    upgrade(request, socket, head).catch((error: unknown) => {
      if (!(error instanceof ApiError || error instanceof Problem || error instanceof StoreUnavailableError))
        context.logger.error(
          { err: error },
          'a client could not be attached to a terminal, and was answered with 500: an error of the server; report it',
        );
      answerBare(socket, refusalOf(error), nextRequestId());
    });
  };
}

interface Attachment extends TerminalClientOptions {
  connection: ClientConnection;
  execution: Execution;
  by: { actor: string; source: string };
}

/** Runs the connection to its end, and records both in the audit trail. */
function attach(
  context: HttpContext,
  terminals: Terminals,
  { connection, execution, by, ...options }: Attachment,
): void {
  const { machineId, executionId } = execution;
  const audit = (action: string, outcome: string): void =>
    context.audit.noteAs(by, { action, machineId, resource: executionId, outcome });
  audit('terminal.attach', 'attached');
  terminals
    .attach(connection, execution, options)
    .then(({ in: received, out }) => audit('terminal.detach', `${received} bytes in, ${out} bytes out`))
    .catch((err: unknown) =>
      context.logger.error(
        { err },
        'the connection of a client to a terminal failed, and the client has to connect again: an error of the server; report it',
      ),
    );
}

interface Admitted {
  principal: Principal;
  execution: Execution;
  options: Omit<TerminalClientOptions, 'signal'>;
}

/** Authenticates an upgrade. Throws its refusal. */
async function admit(context: HttpContext, terminals: Terminals, request: IncomingMessage): Promise<Admitted> {
  const url = new URL(request.url ?? '', 'http://localhost');
  const [, machine_id = '', terminal_id = ''] = PATH.exec(url.pathname) ?? [];
  const principal = await principalOf(context, request, { ticket: url.searchParams.get('ticket'), terminal_id });
  assertScope(principal, 'executions:write');
  assertMachine(principal, machine_id);
  const execution = await findTerminal(context, { machine_id, terminal_id });
  const status = terminalStatus(execution);
  const offsetText = url.searchParams.get('offset');
  // A reconnecting client has missed the end, and still receives it.
  const comesBack = offsetText !== null && isTerminal(execution.status);
  if (status !== 'ready' && !comesBack) throw notReady(status);
  const { start, end } = await terminals.scrollbackOf(execution);
  const binary = url.searchParams.get('frames') === 'binary';
  const tellsOffsets = url.searchParams.get('offsets') === 'true';
  const acknowledges = url.searchParams.get('acks') === 'true';
  const replay = url.searchParams.get('replay') === 'none' ? end : start;
  const offset = offsetText === null ? replay : integerOf(offsetText);
  if (offset === undefined || offset > end) throw new Problem(422, `offset must be an integer from 0 to ${end}.`);
  const writer = writerOf(url.searchParams);
  const options = { binary, tellsOffsets, acknowledges, writer, offset: Math.max(offset, start) };
  return { principal, execution, options };
}

/** Returns the numbering of the client's input. Undefined if the client does not number it. */
function writerOf(query: URLSearchParams): StdinWriter | undefined {
  const id = query.get('writer');
  if (id === null) return undefined;
  const offset = integerOf(query.get('input_offset') ?? '0');
  if (offset !== undefined && stdinWriter.Check({ id, offset })) return { id, offset };
  throw new Problem(422, 'writer must be 16 to 64 characters of A-Z a-z 0-9 _ -, and input_offset an integer from 0.');
}

function integerOf(text: string): number | undefined {
  return /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
}

async function principalOf(
  context: HttpContext,
  request: IncomingMessage,
  { ticket, terminal_id }: { ticket: string | null; terminal_id: string },
): Promise<Principal> {
  if (ticket !== null) {
    const principal = await context.terminalTickets.redeem(ticket, terminal_id);
    if (principal === undefined) throw new ApiError('AUTH_INVALID');
    return principal;
  }
  const key = presentedKey(request.headers);
  if (key === undefined) throw new ApiError('AUTH_REQUIRED');
  const principal = await context.keys.find(key);
  if (principal === undefined) throw new ApiError('AUTH_INVALID');
  return principal;
}

function refusalOf(error: unknown): ApiError | Problem {
  if (error instanceof ApiError || error instanceof Problem) return error;
  if (error instanceof StoreUnavailableError) return new ApiError('DEPENDENCY_UNAVAILABLE', { cause: error });
  return new Problem(500, 'The server failed.');
}
