/** Creates, lists, gets, changes and deletes schedules, lists their runs, and previews their ticks. */
import { customAlphabet } from 'nanoid';
import { ScheduleRunListSchema } from '../../../../api/schedules/run.ts';
import { ListQuery } from '../../../../api/fields.ts';
import {
  CreateScheduleSchema,
  PreviewScheduleSchema,
  ScheduleListSchema,
  ScheduleParams,
  SchedulePreviewSchema,
  ScheduleQuery,
  ScheduleSchema,
  UpdateScheduleSchema,
} from '../../../../api/schedules/schedule.ts';
import { dueFrom } from '../../../control/schedules/scheduler.ts';
import type { Schedules } from '../../../control/schedules/schedules.ts';
import { nextTicks } from '../../../control/schedules/ticks.ts';
import type { Principal } from '../../authentication/key-ring.ts';
import type { App, HttpContext } from '../../http-context.ts';
import { scheduleRunWire, scheduleWire } from '../../replies/schedule-wire.ts';
import { time } from '../../replies/wire.ts';
import { assertReplay, replayedResource } from '../../requests/idempotency.ts';
import { assertCreateAllowed } from '../../requests/create-request.ts';
import {
  assertWithCommand,
  changedDefinition,
  changesTiming,
  commandOf,
  definitionOf,
  sealCommand,
  timingOf,
} from '../../requests/machines/schedule.ts';
import { findSchedule, noSchedule } from '../../requests/lookup.ts';
import { pageRequest, pageWire } from '../../requests/paging.ts';
import type { OnBehalf, Schedule } from '../../../../store/store.ts';

type ScheduleContext = HttpContext & Schedules;

const ALL = '/v1/schedules';
const ONE = `${ALL}/:schedule_id`;
const LIST = 'schedules';
const TAGS = ['Schedules'];
const PREVIEWED = 10;
/** The reason of a pause that a caller has requested. */
const BY_REQUEST = 'by_request';
const freshId = customAlphabet('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz', 16);

export function scheduleRoutes(app: App, common: HttpContext): void {
  const context = { ...common, ...common.schedules };
  createRoute(app, context);
  previewRoute(app, context);
  listRoute(app, context);
  getRoute(app, context);
  updateRoute(app, context);
  removeRoute(app, context);
  runsRoute(app, context);
}

function createRoute(app: App, context: ScheduleContext): void {
  app.post(
    ALL,
    {
      config: { access: 'executions:write' },
      schema: {
        summary: 'Run a command on machines repeatedly',
        operationId: 'createSchedule',
        tags: TAGS,
        body: CreateScheduleSchema,
        response: { 200: ScheduleSchema },
      },
    },
    async (request, reply) => {
      assertCreateAllowed(context, request);
      const { principal, body } = request;
      const now = context.now();
      const { command, shown } = commandOf(body, context.config);
      const definition = definitionOf(body, { principal, now, shown });
      const scheduleId = `sched-${freshId()}`;
      const paused = body.paused === true ? BY_REQUEST : undefined;
      const createdBy = principal.apiKeyId;
      const onBehalf = await context.onBehalfOf(request);
      const sealedRequest = await sealCommand(context, { scheduleId, createdBy, command, ...onBehalf });
      const made = await context.scheduler.store.createSchedule({
        schedule: {
          scheduleId,
          definition,
          sealedRequest,
          createdBy,
          ...dueFrom(definition, { anchor: now, now, paused }),
        },
        now,
        ...onBehalf,
      });
      if (made.outcome !== 'created') {
        return scheduleWire(await findSchedule(context, principal, replayedResource(made, reply)));
      }
      context.scheduler.wake();
      const auditEntry = { resource: scheduleId, command: shown.command, outcome: 'created' };
      await context.audit.write(request, { action: 'schedule.create', ...auditEntry });
      return scheduleWire(made.schedule);
    },
  );
}

function previewRoute(app: App, context: ScheduleContext): void {
  app.post(
    `${ALL}/preview`,
    {
      config: { access: 'executions:write' },
      schema: {
        summary: 'Preview the next runs of a schedule without creating it',
        operationId: 'previewSchedule',
        tags: TAGS,
        body: PreviewScheduleSchema,
        response: { 200: SchedulePreviewSchema },
      },
    },
    (request) => {
      const now = context.now();
      const ticks = nextTicks(timingOf(request.body, now), { anchor: now, after: now, count: PREVIEWED });
      return { next_runs: ticks.map(time) };
    },
  );
}

function listRoute(app: App, context: ScheduleContext): void {
  app.get(
    ALL,
    {
      config: { access: 'executions:read' },
      schema: {
        summary: 'List schedules, newest first: all, or those of a key that is limited to some machines',
        operationId: 'listSchedules',
        tags: TAGS,
        querystring: ListQuery,
        response: { 200: ScheduleListSchema },
      },
    },
    async (request) => {
      const { machineIds, apiKeyId } = request.principal;
      const pageQuery = pageRequest(context.cursors, LIST, request.query);
      const own = machineIds === undefined ? {} : { createdBy: apiKeyId };
      const page = await context.scheduler.store.listSchedules({ ...pageQuery, ...own });
      return pageWire(context.cursors, LIST, page, (schedule) => scheduleWire(schedule));
    },
  );
}

function getRoute(app: App, context: ScheduleContext): void {
  app.get(
    ONE,
    {
      config: { access: 'executions:read' },
      schema: {
        summary: 'Get a schedule',
        operationId: 'getSchedule',
        tags: TAGS,
        params: ScheduleParams,
        querystring: ScheduleQuery,
        response: { 200: ScheduleSchema },
      },
    },
    async (request) => {
      const schedule = await findSchedule(context, request.principal, request.params.schedule_id);
      const { next_runs: count } = request.query;
      if (count === undefined) return scheduleWire(schedule);
      const { anchorAt: anchor, definition, nextAt } = schedule;
      const ticks = nextAt === undefined ? [] : nextTicks(definition.timing, { anchor, after: nextAt - 1, count });
      return { ...scheduleWire(schedule), next_runs: ticks.map(time) };
    },
  );
}

function updateRoute(app: App, context: ScheduleContext): void {
  app.patch(
    ONE,
    {
      config: { access: 'executions:write' },
      schema: {
        summary: 'Change a schedule, pause it, or resume it',
        operationId: 'updateSchedule',
        tags: TAGS,
        params: ScheduleParams,
        body: UpdateScheduleSchema,
        response: { 200: ScheduleSchema },
      },
    },
    async (request, reply) => {
      const { principal, body } = request;
      assertWithCommand(body);
      const present = await findSchedule(context, principal, request.params.schedule_id);
      const { scheduleId } = present;
      const onBehalf = await context.onBehalfOf(request);
      const changed = await context.scheduler.store.updateSchedule({
        scheduleId,
        change: await changeOf(context, { principal, present, body, onBehalf }),
        now: context.now(),
        ...onBehalf,
      });
      switch (changed.outcome) {
        case 'applied':
          context.scheduler.wake();
          await context.audit.write(request, { action: 'schedule.update', resource: scheduleId, outcome: 'changed' });
          return scheduleWire(changed.schedule);
        case 'not_found':
          throw noSchedule();
        default:
          return scheduleWire(await findSchedule(context, principal, replayedResource(changed, reply)));
      }
    },
  );
}

/** Returns the change of a schedule. Without a change of its timing the next tick stays. A resumed schedule gets its next tick after now. */
async function changeOf(
  context: ScheduleContext,
  p: { principal: Principal; present: Schedule; body: Parameters<typeof changedDefinition>[0]; onBehalf: OnBehalf },
) {
  const { principal, present, body, onBehalf } = p;
  const now = context.now();
  const { command } = body;
  const anew = command === undefined ? undefined : commandOf({ ...body, command }, context.config);
  const { shown } = anew ?? present.definition;
  const definition = changedDefinition(body, present.definition, { principal, now, shown });
  const anchor = changesTiming(body) ? now : present.anchorAt;
  const paused = body.paused === undefined ? present.paused : body.paused ? BY_REQUEST : undefined;
  return {
    definition,
    sealedRequest:
      anew === undefined
        ? present.sealedRequest
        : await sealCommand(context, { ...present, command: anew.command, ...onBehalf }),
    ...dueFrom(definition, { anchor, now, paused }),
  };
}

function removeRoute(app: App, context: ScheduleContext): void {
  app.delete(
    ONE,
    {
      config: { access: 'executions:write' },
      schema: {
        summary: 'Delete a schedule; batches that it has started continue',
        operationId: 'deleteSchedule',
        tags: TAGS,
        params: ScheduleParams,
        response: { 200: ScheduleSchema },
      },
    },
    async (request, reply) => {
      const { machineIds, apiKeyId } = request.principal;
      const scheduleId = request.params.schedule_id;
      const removed = await context.scheduler.store.deleteSchedule({
        scheduleId,
        ...(machineIds === undefined ? {} : { createdBy: apiKeyId }),
        now: context.now(),
        ...(await context.onBehalfOf(request)),
      });
      if (removed.outcome === 'not_found') throw noSchedule();
      if (removed.outcome === 'applied') {
        await context.audit.write(request, { action: 'schedule.delete', resource: scheduleId, outcome: 'deleted' });
      } else assertReplay(removed, reply);
      return scheduleWire(removed.schedule);
    },
  );
}

function runsRoute(app: App, context: ScheduleContext): void {
  app.get(
    `${ONE}/runs`,
    {
      config: { access: 'executions:read' },
      schema: {
        summary: 'List the runs of a schedule, newest first',
        operationId: 'listScheduleRuns',
        tags: TAGS,
        params: ScheduleParams,
        querystring: ListQuery,
        response: { 200: ScheduleRunListSchema },
      },
    },
    async (request) => {
      const { scheduleId } = await findSchedule(context, request.principal, request.params.schedule_id);
      const list = `runs ${scheduleId}`;
      const pageQuery = pageRequest(context.cursors, list, request.query);
      const page = await context.scheduler.store.listRuns({ scheduleId, ...pageQuery });
      const batches = await Promise.all(
        page.items.map(({ batchId }) => batchId && context.batches.store.getBatch({ batchId })),
      );
      const items = page.items.map((run, index) => ({ run, batch: batches[index] || undefined }));
      return pageWire(context.cursors, list, { ...page, items }, ({ run, batch }) => scheduleRunWire(run, batch));
    },
  );
}
