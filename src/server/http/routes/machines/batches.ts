/** Creates, lists, gets and cancels batches, and lists their executions. */
import type { FastifyRequest } from 'fastify';
import { customAlphabet } from 'nanoid';
import { Type } from 'typebox';
import {
  BatchInclude,
  BatchListSchema,
  BatchSchema,
  type BatchWire,
  type CreateBatch,
  CreateBatchSchema,
} from '../../../../api/batch.ts';
import { ExecutionListSchema } from '../../../../api/execution.ts';
import { ListQuery, WaitMs } from '../../../../api/fields.ts';
import type { Batch, OnBehalf, Replay } from '../../../../store/store.ts';
import { assertMachine } from '../../authentication/auth.ts';
import type { Principal } from '../../authentication/key-ring.ts';
import type { App, HttpContext } from '../../http-context.ts';
import { batchWire } from '../../replies/batch-wire.ts';
import { invalid, notFound } from '../../replies/problem.ts';
import { assertCreateAllowed, assertMayKeep, createRequestOf } from '../../requests/create-request.ts';
import { replayedResource } from '../../requests/idempotency.ts';
import { selectedMachines } from '../../../control/batches/selected-machines.ts';
import { assertKeyStillValid } from '../../requests/open-requests.ts';
import { executionPageWire, pageRequest, pageWire } from '../../requests/paging.ts';

const DEFAULT_CONCURRENCY = 10;
const ONE = '/v1/batches/:batch_id';
const LIST = 'batches';
const BatchQuery = Type.Object({ wait_ms: WaitMs, include: BatchInclude });
const BatchListQuery = Type.Object({ ...ListQuery.properties, include: BatchInclude });
const BatchParams = Type.Object({
  batch_id: Type.String({
    pattern: '^[A-Za-z0-9-]{1,64}$',
    description: 'The batch.',
    examples: ['batch-V1StGXR8Z5jdHi6B'],
  }),
});
const freshId = customAlphabet('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz', 16);

/** Registers the routes of batches. */
export function batchRoutes(app: App, context: HttpContext): void {
  createRoute(app, context);
  listRoute(app, context);
  getRoute(app, context);
  executionsRoute(app, context);
  cancelRoute(app, context);
}

function createRoute(app: App, context: HttpContext): void {
  app.post(
    '/v1/batches',
    {
      config: { access: 'executions:write' },
      schema: {
        summary: 'Run a command on many machines',
        operationId: 'createBatch',
        tags: ['Batches'],
        querystring: BatchQuery,
        body: CreateBatchSchema,
        response: { 200: BatchSchema },
      },
    },
    async (request, reply) => {
      assertCreateAllowed(context, request);
      const { principal, body } = request;
      const { command, ...settings } = commandOf(context, request);
      const onBehalf = await context.onBehalfOf(request);
      const wait = waiting(context, request, reply);
      // A selector may select other machines by now, or none: the retry of a create gets its batch all the same.
      const replay = await earlierOf(context, onBehalf);
      if (replay !== undefined) return wait(await findBatch(context, principal, replayedResource(replay, reply)));
      const batchId = `batch-${freshId()}`;
      const sealedRequest = await context.batches.seal(batchId, command);
      await assertMayKeep(context.control, { createdBy: principal.apiKeyId, bytes: sealedRequest.length, ...onBehalf });
      const made = await context.batches.store.createBatch({
        batch: {
          batchId,
          machineIds: await machinesOf(context, principal, body.selector),
          sealedRequest,
          ...settings,
          createdBy: principal.apiKeyId,
        },
        now: context.now(),
        ...onBehalf,
      });
      switch (made.outcome) {
        case 'created':
          context.batches.changed(batchId);
          context.audit.note(request, {
            action: 'batch.create',
            resource: batchId,
            command: command.command,
            outcome: 'created',
          });
          return wait(made.batch);
        case 'machine_not_found':
          throw invalid(made.machineIds.slice(0, 100).map((id) => missing(id)));
        default:
          return wait(await findBatch(context, principal, replayedResource(made, reply)));
      }
    },
  );
}

/** Returns the command of a create, and how its executions are started. Throws a 422. */
function commandOf(context: HttpContext, { body, principal }: FastifyRequest<{ Body: CreateBatch }>) {
  const {
    selector: _,
    max_concurrency: maxConcurrency = DEFAULT_CONCURRENCY,
    max_failures: maxFailures,
    ...rest
  } = body;
  const created = createRequestOf(rest, { machineId: '', createdBy: principal.apiKeyId }, context.config);
  const { machineId: _id, createdBy: _by, ...command } = created;
  return { command, maxConcurrency, ...(maxFailures === undefined ? {} : { maxFailures }) };
}

/** Returns the replay of a request, if its Idempotency-Key is bound. */
function earlierOf({ store, now }: HttpContext, { idempotency }: OnBehalf): Promise<Replay | undefined> | undefined {
  return idempotency && store.findReplay({ idempotency, now: now() });
}

function missing(machineId: string) {
  return { location: 'body.selector.machine_ids', message: 'names a machine that does not exist', value: machineId };
}

/** Returns the machines that the selector names or selects, among those that the key has access to. */
async function machinesOf(
  context: HttpContext,
  principal: Principal,
  selector: CreateBatch['selector'],
): Promise<string[]> {
  const { labels, machine_ids: machineIds } = selector;
  if ((labels === undefined) === (machineIds === undefined)) {
    throw invalid([{ location: 'body.selector', message: 'must have either labels or machine_ids, and not both' }]);
  }
  if (machineIds !== undefined) {
    for (const machineId of machineIds) assertMachine(principal, machineId);
    return machineIds;
  }
  const selectors = Object.entries(labels ?? {}).map(([key, value]) => ({ key, value }));
  const selected = selectors.length === 0 ? [] : await selectedMachines(context, selectors, principal.machineIds);
  if (selected.length > 0) return selected;
  const reason = selectors.length === 0 ? 'there is no label' : 'no machine of yours has all of these labels';
  throw invalid([{ location: 'body.selector.labels', message: `must select at least one machine: ${reason}` }]);
}

function listRoute(app: App, context: HttpContext): void {
  app.get(
    '/v1/batches',
    {
      config: { access: 'executions:read' },
      schema: {
        summary: 'List batches, newest first: all, or those of a key that is limited to some machines',
        operationId: 'listBatches',
        tags: ['Batches'],
        querystring: BatchListQuery,
        response: { 200: BatchListSchema },
      },
    },
    async (request) => {
      const { machineIds, apiKeyId } = request.principal;
      const pageQuery = pageRequest(context.cursors, LIST, request.query);
      const own = machineIds === undefined ? {} : { createdBy: apiKeyId };
      const page = await context.batches.store.listBatches({ ...pageQuery, ...own });
      return pageWire(context.cursors, LIST, page, (batch) => batchWire(batch, request.query.include));
    },
  );
}

function getRoute(app: App, context: HttpContext): void {
  app.get(
    ONE,
    {
      config: { access: 'executions:read' },
      schema: {
        summary: 'Get a batch',
        operationId: 'getBatch',
        tags: ['Batches'],
        params: BatchParams,
        querystring: BatchQuery,
        response: { 200: BatchSchema },
      },
    },
    async (request, reply) => {
      const wait = waiting(context, request, reply);
      return wait(await findBatch(context, request.principal, request.params.batch_id));
    },
  );
}

function executionsRoute(app: App, context: HttpContext): void {
  app.get(
    `${ONE}/executions`,
    {
      config: { access: 'executions:read' },
      schema: {
        summary: 'List the executions of a batch, in the order of its machines',
        operationId: 'listBatchExecutions',
        tags: ['Batches'],
        params: BatchParams,
        querystring: ListQuery,
        response: { 200: ExecutionListSchema },
      },
    },
    async (request) => {
      const { batchId } = await findBatch(context, request.principal, request.params.batch_id);
      const list = `batch ${batchId}`;
      const pageQuery = pageRequest(context.cursors, list, request.query);
      const page = await context.batches.store.listBatchExecutions({ batchId, ...pageQuery });
      return executionPageWire(context, list, page);
    },
  );
}

function cancelRoute(app: App, context: HttpContext): void {
  app.delete(
    ONE,
    {
      config: { access: 'executions:write' },
      schema: {
        summary: 'Cancel a batch: start no more executions, and cancel those that run',
        operationId: 'cancelBatch',
        tags: ['Batches'],
        params: BatchParams,
        querystring: BatchQuery,
        response: { 200: BatchSchema },
      },
    },
    async (request, reply) => {
      const { batchId } = await findBatch(context, request.principal, request.params.batch_id);
      const wait = waiting(context, request, reply);
      const cancelled = await context.batches.store.cancelBatch({
        batchId,
        now: context.now(),
        ...(await context.onBehalfOf(request)),
      });
      switch (cancelled.outcome) {
        case 'applied':
        case 'stale':
          context.batches.changed(batchId);
          context.audit.note(request, { action: 'batch.cancel', resource: batchId, outcome: cancelled.outcome });
          return wait(cancelled.batch);
        case 'not_found':
          throw notFound('The batch does not exist.');
        default:
          return wait(await findBatch(context, request.principal, replayedResource(cancelled, reply)));
      }
    },
  );
}

/** Returns a batch. A key that is limited to some machines has access to its own batches only. */
async function findBatch(context: HttpContext, principal: Principal, batchId: string): Promise<Batch> {
  const batch = await context.batches.store.getBatch({ batchId });
  const visible = batch !== undefined && (principal.machineIds === undefined || batch.createdBy === principal.apiKeyId);
  if (!visible) throw notFound('The batch does not exist.');
  return batch;
}

type Asked = { query: { wait_ms?: number | undefined; include?: 'command'[] | undefined } };

/** Returns a function that waits for the end of a batch, or until `wait_ms` have passed. */
function waiting(
  context: HttpContext,
  request: Parameters<HttpContext['openRequests']['open']>[0] & Asked,
  reply: Parameters<HttpContext['openRequests']['open']>[1],
) {
  const { wait_ms: waitMs = 0, include } = request.query;
  const signal = waitMs === 0 ? undefined : context.openRequests.open(request, reply);
  return async (batch: Batch): Promise<BatchWire> => {
    if (signal === undefined || batch.status !== 'running') return batchWire(batch, include);
    const latest = await context.batches.waitForEnd(batch, waitMs, signal);
    assertKeyStillValid(signal);
    return batchWire(latest, include);
  };
}
