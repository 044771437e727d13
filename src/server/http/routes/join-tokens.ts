/** Creates, lists and revokes join tokens, with which agents enrol. */
import { nanoid } from 'nanoid';
import { ApiError } from '../../../core/errors.ts';
import type { JoinToken } from '../../../store/store.ts';
import { newJoinToken } from '../authentication/admin-key.ts';
import { assertAllMachines, assertMachine } from '../authentication/auth.ts';
import type { App, HttpContext } from '../http-context.ts';
import { actorOf, replayedResource, withIdempotencyKey } from '../requests/idempotency.ts';
import { secretHash } from '../authentication/key-ring.ts';
import { machineRefusal } from '../replies/machine-refusal.ts';
import { notFound } from '../replies/problem.ts';
import {
  CreatedJoinTokenSchema,
  CreateJoinTokenSchema,
  JoinTokenListSchema,
  JoinTokenParams,
  JoinTokenSchema,
} from '../../../api/admin.ts';
import { ListQuery } from '../../../api/fields.ts';
import { joinTokenWire } from '../replies/wire.ts';
import { pageRequest, pageWire } from '../requests/paging.ts';

const LIST = 'join-tokens';
const DEFAULT_LIFE_MS = 60 * 60 * 1000;

/** Registers the routes of join tokens. */
export function joinTokenRoutes(app: App, context: HttpContext): void {
  createRoute(app, context);
  listRoute(app, context);
  revokeRoute(app, context);
}

function createRoute(app: App, context: HttpContext): void {
  app.post(
    '/v1/join-tokens',
    {
      config: { access: 'admin' },
      schema: {
        summary: 'Make a join token; a new machine id also makes that machine',
        operationId: 'createJoinToken',
        tags: ['Administration'],
        body: CreateJoinTokenSchema,
        response: { 200: CreatedJoinTokenSchema },
      },
    },
    async (request, reply) => {
      const { machine_id: machineId, reusable = false, expires_in_ms: lifeMs = DEFAULT_LIFE_MS } = request.body;
      if (machineId === undefined) assertAllMachines(request.principal);
      else assertMachine(request.principal, machineId);
      const onBehalf = await context.onBehalfOf(request);
      const now = context.now();
      const token: JoinToken = {
        joinTokenId: `join-${nanoid(16)}`,
        ...(machineId === undefined ? {} : { machineId }),
        reusable,
        createdAt: now,
        expiresAt: now + lifeMs,
      };
      const secret = newJoinToken();
      const p = { token, tokenHash: secretHash(secret), now };
      const made = await context.store.createJoinToken({ ...p, ...onBehalf });
      if (made.outcome === 'machine_removed') throw machineRefusal.idRemoved(made.machine);
      if (made.outcome !== 'created') return findJoinToken(context, replayedResource(made, reply));
      await context.audit.write(request, {
        action: 'join_token.create',
        ...(machineId === undefined ? {} : { machineId }),
        resource: token.joinTokenId,
        outcome: 'created',
      });
      return { ...joinTokenWire(token), token: secret };
    },
  );
}

function listRoute(app: App, context: HttpContext): void {
  app.get(
    '/v1/join-tokens',
    {
      config: { access: 'admin' },
      schema: {
        summary: 'List the valid join tokens, newest first',
        operationId: 'listJoinTokens',
        tags: ['Administration'],
        querystring: ListQuery,
        response: { 200: JoinTokenListSchema },
      },
    },
    async (request) => {
      assertAllMachines(request.principal);
      const pageQuery = pageRequest(context.cursors, LIST, request.query);
      return pageWire(
        context.cursors,
        LIST,
        await context.store.listJoinTokens({ now: context.now(), ...pageQuery }),
        joinTokenWire,
      );
    },
  );
}

function revokeRoute(app: App, context: HttpContext): void {
  app.delete(
    '/v1/join-tokens/:join_token_id',
    {
      config: { access: 'admin' },
      schema: {
        summary: 'Revoke a join token',
        operationId: 'revokeJoinToken',
        tags: ['Administration'],
        params: JoinTokenParams,
        response: { 200: JoinTokenSchema },
      },
    },
    async (request, reply) => {
      assertAllMachines(request.principal);
      const joinTokenId = request.params.join_token_id;
      const now = context.now();
      const keyed = { onBehalf: await context.onBehalfOf(request), resource: joinTokenId, reply, now };
      return withIdempotencyKey(context.store, keyed, async (replayed) => {
        const revoked = await context.store.revokeJoinToken({ joinTokenId, now, ...actorOf(keyed) });
        if (revoked.outcome === 'actor_revoked') throw new ApiError('AUTH_INVALID');
        const token = revoked.outcome === 'revoked' ? revoked.token : undefined;
        if (token === undefined && replayed) return findJoinToken(context, joinTokenId);
        if (token === undefined) throw notFound('The join token does not exist.');
        await context.audit.write(request, { action: 'join_token.revoke', resource: joinTokenId, outcome: 'revoked' });
        return joinTokenWire(token);
      });
    },
  );
}

async function findJoinToken(context: HttpContext, joinTokenId: string) {
  const token = await context.store.getJoinToken({ joinTokenId });
  if (token === undefined) throw notFound('The join token does not exist.');
  return joinTokenWire(token);
}
