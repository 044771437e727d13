/** Opens, lists and closes terminals. Their streams are WebSockets (http/terminals/stream-upgrade.ts). */
import type { FastifyRequest } from 'fastify';
import { MachineParams } from '../../../api/fields.ts';
import {
  CreateTerminalSchema,
  TerminalListQuery,
  TerminalListSchema,
  TerminalParams,
  TerminalQuery,
  TerminalSchema,
  TerminalTicketQuery,
  TerminalTicketSchema,
  type TerminalWire,
} from '../../../api/terminal.ts';
import { isTerminal } from '../../../core/execution.ts';
import type { Execution } from '../../../store/store.ts';
import type { App, HttpContext } from '../http-context.ts';
import { notFound } from '../replies/problem.ts';
import { executionReasonWire } from '../replies/reasons.ts';
import { wakeRetries, wakeRetryAfterMs } from '../replies/wake-retry.ts';
import { assertCreateAllowed, assertEnvFits, createdExecution } from '../requests/create-request.ts';
import { replayedResource } from '../requests/idempotency.ts';
import { findMachine, findTerminal } from '../requests/lookup.ts';
import { pageRequest, pageWire } from '../requests/paging.ts';
import { baseUrlOf, notReady, streamUrl, terminalStatus, terminalWire } from '../terminals/terminal-wire.ts';

const COLLECTION = '/v1/machines/:machine_id/terminals';
const ONE = `${COLLECTION}/:terminal_id`;
const SHOWN_MS = 24 * 3600 * 1000;

/** Registers the routes of terminals. */
export function terminalRoutes(app: App, context: HttpContext): void {
  createRoute(app, context);
  listRoute(app, context);
  getRoute(app, context);
  closeRoute(app, context);
  ticketRoute(app, context);
}

function createRoute(app: App, context: HttpContext): void {
  app.post(
    COLLECTION,
    {
      config: { access: 'executions:write' },
      schema: {
        summary: 'Open a terminal',
        operationId: 'createTerminal',
        tags: ['Terminals'],
        params: MachineParams,
        body: CreateTerminalSchema,
        response: { 200: TerminalSchema },
      },
    },
    async (request, reply) => {
      const { width, height, shell, cwd, env = {}, user } = request.body;
      const machineId = request.params.machine_id;
      assertCreateAllowed(context, request);
      assertEnvFits(env, context.config);
      const made = await context.control.create({
        ...(await context.onBehalfOf(request)),
        machineId,
        createdBy: request.principal.apiKeyId,
        command: shell === undefined ? [] : [shell],
        stdin: { mode: 'open' },
        env,
        ...(cwd === undefined || cwd === '' ? {} : { cwd }),
        ...(user === undefined ? {} : { user }),
        tty: { width, height },
        isTerminal: true,
        outputMode: 'stream',
      });
      const created = await createdExecution(context, machineId, made, reply);
      if (typeof created !== 'string') {
        const details = { machineId, resource: created.executionId, outcome: 'created' };
        context.audit.note(request, { action: 'terminal.create', ...details });
      }
      const terminal =
        typeof created === 'string'
          ? await findTerminal(context, { machine_id: machineId, terminal_id: created })
          : created;
      return wireOf(context, request, terminal);
    },
  );
}

function listRoute(app: App, context: HttpContext): void {
  app.get(
    COLLECTION,
    {
      config: { access: 'executions:read' },
      schema: {
        summary: 'List terminals, newest first',
        operationId: 'listTerminals',
        tags: ['Terminals'],
        params: MachineParams,
        querystring: TerminalListQuery,
        response: { 200: TerminalListSchema },
      },
    },
    async (request) => {
      const machineId = request.params.machine_id;
      const list = `terminals ${machineId}`;
      const pageQuery = pageRequest(context.cursors, list, request.query);
      await findMachine(context, machineId);
      const endedAfter = context.now() - SHOWN_MS;
      const page = await context.store.listTerminals({ machineId, endedAfter, ...pageQuery });
      const baseUrl = baseUrlOf(request, context.config);
      const retryAfterMs = await wakeRetries(context, page.items);
      return pageWire(context.cursors, list, page, (terminal) =>
        terminalWire(terminal, baseUrl, retryAfterMs(terminal)),
      );
    },
  );
}

function getRoute(app: App, context: HttpContext): void {
  app.get(
    ONE,
    {
      config: { access: 'executions:read' },
      schema: {
        summary: 'Get a terminal',
        operationId: 'getTerminal',
        tags: ['Terminals'],
        params: TerminalParams,
        querystring: TerminalQuery,
        response: { 200: TerminalSchema },
      },
    },
    async (request) => {
      const terminal = await findTerminal(context, request.params);
      const wire = await wireOf(context, request, terminal);
      if (request.query.include?.includes('reason')) wire.reason = await executionReasonWire(context, terminal);
      return wire;
    },
  );
}

function closeRoute(app: App, context: HttpContext): void {
  app.delete(
    ONE,
    {
      config: { access: 'executions:write' },
      schema: {
        summary: 'Close a terminal',
        operationId: 'deleteTerminal',
        tags: ['Terminals'],
        params: TerminalParams,
        response: { 200: TerminalSchema },
      },
    },
    async (request, reply) => {
      const { executionId, machineId } = await findTerminal(context, request.params);
      const by = request.principal.apiKeyId;
      const closed = await context.control.cancel({
        ...(await context.onBehalfOf(request)),
        machineId,
        executionId,
        by,
      });
      switch (closed.outcome) {
        case 'applied':
        case 'stale':
          context.audit.note(request, {
            action: 'terminal.close',
            machineId,
            resource: executionId,
            outcome: closed.outcome,
          });
          return wireOf(context, request, closed.execution);
        case 'not_found':
          throw notFound('The machine has no such terminal.');
        default:
          replayedResource(closed, reply);
          return wireOf(context, request, await findTerminal(context, request.params));
      }
    },
  );
}

function ticketRoute(app: App, context: HttpContext): void {
  app.post(
    `${ONE}/tickets`,
    {
      config: { access: 'executions:write' },
      schema: {
        summary: 'Get a URL of the stream that works once, for a browser',
        operationId: 'createTerminalTicket',
        tags: ['Terminals'],
        params: TerminalParams,
        querystring: TerminalTicketQuery,
        response: { 200: TerminalTicketSchema },
      },
    },
    async (request) => {
      const terminal = await findTerminal(context, request.params);
      const status = terminalStatus(terminal);
      const comesBack = request.query.resume === true && isTerminal(terminal.status);
      if (status !== 'ready' && !comesBack) throw notReady(status);
      const { ticket, expiresAt } = context.terminalTickets.issue(request.principal, terminal.executionId);
      const url = streamUrl(terminal, baseUrlOf(request, context.config));
      return { stream_url: `${url}?ticket=${ticket}`, expires_at: new Date(expiresAt).toISOString() };
    },
  );
}

async function wireOf(context: HttpContext, request: FastifyRequest, terminal: Execution): Promise<TerminalWire> {
  return terminalWire(terminal, baseUrlOf(request, context.config), await wakeRetryAfterMs(context, terminal));
}
