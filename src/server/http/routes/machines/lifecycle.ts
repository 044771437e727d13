/** Creates, changes, removes and wakes machines, and puts them to sleep. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { customAlphabet } from 'nanoid';
import { Type } from 'typebox';
import { MachineParams } from '../../../../api/fields.ts';
import { CreateMachineSchema, MachineDetailSchema, UpdateMachineSchema } from '../../../../api/machine.ts';
import type { MachineRequest } from '../../../../core/decisions/machine-change.ts';
import type { Machine } from '../../../../store/store.ts';
import { isSettled } from '../../../control/lifecycle/lifecycle.ts';
import { assertAllMachines } from '../../authentication/auth.ts';
import type { App, HttpContext } from '../../http-context.ts';
import { machineRefusal } from '../../replies/machine-refusal.ts';
import { invalid, notFound } from '../../replies/problem.ts';
import { machineDetailWire } from '../../replies/wire.ts';
import { assumeJson } from '../../requests/body-parsers.ts';
import { replayedResource } from '../../requests/idempotency.ts';
import { readIfMatch } from '../../requests/machines/if-match.ts';
import { findMachine } from '../../requests/lookup.ts';
import { newMachineOf, settingsOf } from '../../requests/machines/settings.ts';

const ONE = '/v1/machines/:machine_id';
const freshId = customAlphabet('0123456789abcdefghijklmnopqrstuvwxyz', 16);

/** The 202 of these routes and their header, for the OpenAPI document. */
const CHANGES = {
  refusals: [422],
  headers: [
    {
      name: 'If-Match',
      in: 'header',
      required: false,
      description: 'Change nothing if the machine has another revision than this one, such as "7".',
      schema: { type: 'string', examples: ['"7"'] },
    },
  ],
  statuses: {
    202: {
      description: 'The machine, on its way to the requested state.',
      content: { 'application/json': { schema: { $ref: '#/components/schemas/Machine' } } },
    },
  },
} as const;
const ANSWERS = { 200: MachineDetailSchema };

/** Registers the routes that create, change, wake, put to sleep and remove machines. */
export function machineLifecycleRoutes(app: App, context: HttpContext): void {
  createRoute(app, context);
  updateRoute(app, context);
  removeRoute(app, context);
  wakeRoute(app, context);
  sleepRoute(app, context);
}

function createRoute(app: App, context: HttpContext): void {
  app.post(
    '/v1/machines',
    {
      config: { access: 'machines:write', documented: { statuses: CHANGES.statuses } },
      schema: {
        summary: 'Make a machine',
        operationId: 'createMachine',
        tags: ['Machines'],
        body: CreateMachineSchema,
        response: ANSWERS,
      },
    },
    async (request, reply) => {
      assertAllMachines(request.principal);
      const { machine_id: machineId = `dm-${freshId()}` } = request.body;
      const machine = newMachineOf(request.body, machineId, context.lifecycle.providers);
      const placed = await context.lifecycle.place({ machine, ...(await context.onBehalfOf(request)) });
      switch (placed.outcome) {
        case 'created':
          await audit(context, request, { action: 'machine.create', machineId: machine.machineId, outcome: 'created' });
          return answer(reply, placed.machine);
        case 'exists':
          throw machineRefusal.idTaken();
        case 'name_taken':
          throw machineRefusal.nameTaken();
        case 'provider_full':
          throw machineRefusal.providerFull();
        default:
          return answer(reply, await findMachine(context, replayedResource(placed, reply)));
      }
    },
  );
}

function updateRoute(app: App, context: HttpContext): void {
  app.patch(
    ONE,
    {
      config: { access: 'machines:write', documented: CHANGES },
      schema: {
        summary: 'Change the size of a machine, its name, or when it sleeps',
        operationId: 'updateMachine',
        tags: ['Machines'],
        params: MachineParams,
        body: UpdateMachineSchema,
        response: ANSWERS,
      },
    },
    async (request, reply) => {
      const { provider = '' } = await findMachine(context, request.params.machine_id);
      const settings = settingsOf(request.body, context.lifecycle.providers.byName.get(provider));
      return change(context, request, reply, { action: 'machine.update', request: { type: 'configure', ...settings } });
    },
  );
}

function removeRoute(app: App, context: HttpContext): void {
  const force = Type.Boolean({
    default: false,
    description: 'Remove it at once; resources of its provider may remain.',
    examples: [false],
  });
  app.delete(
    ONE,
    {
      config: { access: 'machines:write', documented: CHANGES },
      schema: {
        summary: 'Remove a machine for good',
        operationId: 'removeMachine',
        tags: ['Machines'],
        params: MachineParams,
        querystring: Type.Object({ force }),
        response: ANSWERS,
      },
    },
    async (request, reply) => {
      const removal = { type: 'remove', force: request.query.force } as const;
      return change(context, request, reply, { action: 'machine.remove', request: removal });
    },
  );
}

function wakeRoute(app: App, context: HttpContext): void {
  app.post(
    `${ONE}/wake`,
    {
      config: { access: ['machines:write', 'executions:write'], documented: CHANGES },
      preParsing: assumeJson,
      schema: {
        summary: 'Wake a machine',
        operationId: 'wakeMachine',
        tags: ['Machines'],
        params: MachineParams,
        response: ANSWERS,
      },
    },
    async (request, reply) => {
      assertNoBody(request);
      return change(context, request, reply, { action: 'machine.wake', request: { type: 'run' } });
    },
  );
}

function sleepRoute(app: App, context: HttpContext): void {
  app.post(
    `${ONE}/sleep`,
    {
      config: { access: 'machines:write', documented: CHANGES },
      preParsing: assumeJson,
      schema: {
        summary: 'Put a machine to sleep',
        operationId: 'sleepMachine',
        tags: ['Machines'],
        params: MachineParams,
        response: ANSWERS,
      },
    },
    async (request, reply) => {
      assertNoBody(request);
      return change(context, request, reply, { action: 'machine.sleep', request: { type: 'sleep' } });
    },
  );
}

type ChangeRequest = FastifyRequest<{ Params: { machine_id: string } }>;

async function change(
  context: HttpContext,
  request: ChangeRequest,
  reply: FastifyReply,
  { action, request: machineRequest }: { action: string; request: MachineRequest },
) {
  const machineId = request.params.machine_id;
  const expectedRevision = readIfMatch(request);
  const changed = await context.lifecycle.change({
    machineId,
    request: machineRequest,
    ...(expectedRevision === undefined ? {} : { expectedRevision }),
    ...(await context.onBehalfOf(request)),
  });
  switch (changed.outcome) {
    case 'changed': {
      const { machine } = changed;
      await audit(context, request, { action, machineId, outcome: outcomeOf(machineRequest, machine) });
      return answer(reply, machine);
    }
    case 'unchanged':
      return answer(reply, changed.machine, 200);
    case 'refused':
      throw machineRefusal.of(changed, expectedRevision);
    case 'not_found':
      throw notFound('The machine does not exist.');
    default:
      return answer(reply, await findMachine(context, replayedResource(changed, reply)));
  }
}

/** Returns the outcome for the audit trail, the only record of resources that a provider may still have of a machine removed by force. */
function outcomeOf(machineRequest: MachineRequest, { provider, providerRef, machineId }: Machine): string {
  if (machineRequest.type !== 'remove' || !machineRequest.force || provider === undefined) return 'changed';
  return `forgotten; the provider ${provider} may still have ${providerRef ?? machineId}`;
}

/** Answers with a machine: 202 until it is in its desired state. */
function answer(reply: FastifyReply, machine: Machine, status = isSettled(machine) ? 200 : 202) {
  reply.code(status).header('etag', `"${machine.revision}"`);
  return machineDetailWire(machine);
}

/** Refuses a body. An empty object is accepted, because some clients send it in place of no body. */
function assertNoBody({ body }: FastifyRequest): void {
  const isObject = typeof body === 'object' && body !== null && !Array.isArray(body);
  const isEmpty = body === undefined || (isObject && Object.keys(body).length === 0);
  if (!isEmpty) throw invalid([{ location: 'body', message: 'must be empty' }]);
}

function audit(
  context: HttpContext,
  request: FastifyRequest,
  p: { action: string; machineId: string; outcome: string },
): Promise<void> {
  return context.audit.write(request, { ...p, resource: p.machineId });
}
