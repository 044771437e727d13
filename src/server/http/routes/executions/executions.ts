/** Creates, lists, gets and cancels executions. */
import type { App, HttpContext } from '../../http-context.ts';
import { replayedResource } from '../../requests/idempotency.ts';
import { notFound } from '../../replies/problem.ts';
import {
  AllExecutionsQuery,
  CreateExecutionSchema,
  ExecutionListQuery,
  ExecutionListSchema,
  ExecutionQuery,
  ExecutionSchema,
} from '../../../../api/execution.ts';
import { ExecutionParams, MachineParams } from '../../../../api/fields.ts';
import { prepareExecutionReply } from '../../streams/execution-reply.ts';
import { assertCreateAllowed, createdExecution, createRequestOf } from '../../requests/create-request.ts';
import { readSelectors } from '../../requests/machines/labels.ts';
import { pauseIfLarge } from '../../requests/large-bodies.ts';
import { findExecution, findMachine } from '../../requests/lookup.ts';
import { executionPageWire, pageRequest } from '../../requests/paging.ts';

const COLLECTION = '/v1/machines/:machine_id/executions';
const ONE = `${COLLECTION}/:execution_id`;

/** Registers the routes that create, list, get and cancel executions. */
export function executionRoutes(app: App, context: HttpContext): void {
  createRoute(app, context);
  listRoute(app, context);
  listAllRoute(app, context);
  getRoute(app, context);
  cancelRoute(app, context);
}

function createRoute(app: App, context: HttpContext): void {
  app.post(
    COLLECTION,
    {
      config: { access: 'executions:write' },
      schema: {
        summary: 'Run a command',
        operationId: 'createExecution',
        tags: ['Executions'],
        params: MachineParams,
        querystring: ExecutionQuery,
        body: CreateExecutionSchema,
        response: { 200: ExecutionSchema },
      },
    },
    async (request, reply) => {
      assertCreateAllowed(context, request);
      const machineId = request.params.machine_id;
      const createdBy = request.principal.apiKeyId;
      const create = createRequestOf(request.body, { machineId, createdBy }, context.config);
      await pauseIfLarge(request);
      const onBehalf = await context.onBehalfOf(request);
      const send = prepareExecutionReply(context, request, reply, request.query);
      await pauseIfLarge(request);
      const trace = context.tracing?.contextOf(request);
      const made = await context.control.create({
        ...create,
        ...onBehalf,
        ...(trace === undefined ? {} : { trace }),
      });
      await pauseIfLarge(request);
      const created = await createdExecution(context, machineId, made, reply);
      if (typeof created === 'string')
        return send(await findExecution(context, { machine_id: machineId, execution_id: created }));
      const { executionId, command } = created;
      const details = { machineId, resource: executionId, command, outcome: 'created' };
      context.audit.note(request, { action: 'execution.create', ...details });
      return send(created);
    },
  );
}

function listRoute(app: App, context: HttpContext): void {
  app.get(
    COLLECTION,
    {
      config: { access: 'executions:read' },
      schema: {
        summary: 'List executions, newest first',
        operationId: 'listExecutions',
        tags: ['Executions'],
        params: MachineParams,
        querystring: ExecutionListQuery,
        response: { 200: ExecutionListSchema },
      },
    },
    async (request) => {
      const machineId = request.params.machine_id;
      const { status } = request.query;
      const list = `executions ${machineId} ${status ?? ''}`;
      const pageQuery = pageRequest(context.cursors, list, request.query);
      await findMachine(context, machineId);
      const page = await context.store.listExecutions({
        machineId,
        ...pageQuery,
        ...(status === undefined ? {} : { status }),
      });
      return executionPageWire(context, list, page);
    },
  );
}

function listAllRoute(app: App, context: HttpContext): void {
  app.get(
    '/v1/executions',
    {
      config: { access: 'executions:read' },
      schema: {
        summary: 'List the executions of all machines that the key has access to, newest first',
        operationId: 'listAllExecutions',
        tags: ['Executions'],
        querystring: AllExecutionsQuery,
        response: { 200: ExecutionListSchema },
      },
    },
    async (request) => {
      const { status, since, label = [] } = request.query;
      const labels = readSelectors(label);
      const list = `executions ${status ?? ''} ${since ?? ''} ${label.join(' ')}`;
      const asked = pageRequest(context.cursors, list, request.query);
      const { machineIds } = request.principal;
      const page = await context.store.listAllExecutions({
        ...asked,
        labels,
        ...(machineIds === undefined ? {} : { machineIds }),
        ...(status === undefined ? {} : { status }),
        ...(since === undefined ? {} : { since: Date.parse(since) }),
      });
      return executionPageWire(context, list, page);
    },
  );
}

function getRoute(app: App, context: HttpContext): void {
  app.get(
    ONE,
    {
      config: { access: 'executions:read' },
      schema: {
        summary: 'Get an execution',
        operationId: 'getExecution',
        tags: ['Executions'],
        params: ExecutionParams,
        querystring: ExecutionQuery,
        response: { 200: ExecutionSchema },
      },
    },
    async (request, reply) => {
      const send = prepareExecutionReply(context, request, reply, request.query);
      return send(await findExecution(context, request.params));
    },
  );
}

function cancelRoute(app: App, context: HttpContext): void {
  app.delete(
    ONE,
    {
      config: { access: 'executions:write' },
      schema: {
        summary: 'Cancel an execution',
        operationId: 'cancelExecution',
        tags: ['Executions'],
        params: ExecutionParams,
        querystring: ExecutionQuery,
        response: { 200: ExecutionSchema },
      },
    },
    async (request, reply) => {
      const { machineId, executionId } = await findExecution(context, request.params);
      const onBehalf = await context.onBehalfOf(request);
      const send = prepareExecutionReply(context, request, reply, request.query);
      const by = request.principal.apiKeyId;
      const cancelled = await context.control.cancel({
        machineId,
        executionId,
        by,
        ...onBehalf,
      });
      switch (cancelled.outcome) {
        case 'applied':
        case 'stale':
          context.audit.note(request, {
            action: 'execution.cancel',
            machineId,
            resource: executionId,
            outcome: cancelled.outcome,
          });
          return send(cancelled.execution);
        case 'not_found':
          throw notFound('The machine has no such execution.');
        default:
          replayedResource(cancelled, reply);
          return send(await findExecution(context, request.params));
      }
    },
  );
}
