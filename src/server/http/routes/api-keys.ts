/** Creates, lists and revokes API keys. */
import { nanoid } from 'nanoid';
import { ApiError } from '../../../core/errors.ts';
import type { ApiKey } from '../../../store/store.ts';
import { newApiKey } from '../authentication/admin-key.ts';
import { assertAllMachines } from '../authentication/auth.ts';
import type { App, HttpContext } from '../http-context.ts';
import { actorOf, replayedResource, withIdempotencyKey } from '../requests/idempotency.ts';
import { secretHash } from '../authentication/key-ring.ts';
import { notFound } from '../replies/problem.ts';
import {
  ApiKeyListSchema,
  ApiKeyParams,
  ApiKeySchema,
  CreateApiKeySchema,
  CreatedApiKeySchema,
} from '../../../api/admin.ts';
import { ListQuery } from '../../../api/fields.ts';
import { apiKeyWire } from '../replies/wire.ts';
import { pageRequest, pageWire } from '../requests/paging.ts';

const LIST = 'api-keys';

/** Registers the routes of API keys. */
export function apiKeyRoutes(app: App, context: HttpContext): void {
  createRoute(app, context);
  listRoute(app, context);
  revokeRoute(app, context);
}

function createRoute(app: App, context: HttpContext): void {
  app.post(
    '/v1/api-keys',
    {
      config: { access: 'admin' },
      schema: {
        summary: 'Make an API key',
        operationId: 'createApiKey',
        tags: ['Administration'],
        body: CreateApiKeySchema,
        response: { 200: CreatedApiKeySchema },
      },
    },
    async (request, reply) => {
      assertAllMachines(request.principal);
      const { name, scopes, machine_ids: machineIds, expires_in_ms: lifeMs } = request.body;
      const onBehalf = await context.onBehalfOf(request);
      const now = context.now();
      const apiKey: ApiKey = {
        apiKeyId: `key-${nanoid(16)}`,
        name,
        scopes,
        ...(machineIds === undefined ? {} : { machineIds }),
        createdAt: now,
        ...(lifeMs === undefined ? {} : { expiresAt: now + lifeMs }),
      };
      const key = newApiKey();
      const p = { apiKey, keyHash: secretHash(key), now };
      const made = await context.store.createApiKey({ ...p, ...onBehalf });
      if (made.outcome !== 'created') return findApiKey(context, replayedResource(made, reply));
      await context.audit.write(request, { action: 'api_key.create', resource: apiKey.apiKeyId, outcome: 'created' });
      return { ...apiKeyWire(apiKey), key };
    },
  );
}

function listRoute(app: App, context: HttpContext): void {
  app.get(
    '/v1/api-keys',
    {
      config: { access: 'admin' },
      schema: {
        summary: 'List API keys, newest first',
        operationId: 'listApiKeys',
        tags: ['Administration'],
        querystring: ListQuery,
        response: { 200: ApiKeyListSchema },
      },
    },
    async (request) => {
      assertAllMachines(request.principal);
      const pageQuery = pageRequest(context.cursors, LIST, request.query);
      return pageWire(context.cursors, LIST, await context.store.listApiKeys(pageQuery), apiKeyWire);
    },
  );
}

function revokeRoute(app: App, context: HttpContext): void {
  app.delete(
    '/v1/api-keys/:api_key_id',
    {
      config: { access: 'admin' },
      schema: {
        summary: 'Revoke an API key; its open requests are closed at once',
        operationId: 'revokeApiKey',
        tags: ['Administration'],
        params: ApiKeyParams,
        response: { 200: ApiKeySchema },
      },
    },
    async (request, reply) => {
      assertAllMachines(request.principal);
      const apiKeyId = request.params.api_key_id;
      const now = context.now();
      const keyed = { onBehalf: await context.onBehalfOf(request), resource: apiKeyId, reply, now };
      return withIdempotencyKey(context.store, keyed, async (replayed) => {
        const revoked = await context.store.revokeApiKey({ apiKeyId, now, ...actorOf(keyed) });
        if (revoked.outcome === 'actor_revoked') throw new ApiError('AUTH_INVALID');
        const apiKey = revoked.outcome === 'revoked' ? revoked.apiKey : undefined;
        if (apiKey === undefined && replayed) return findApiKey(context, apiKeyId);
        if (apiKey === undefined) throw notFound('The API key does not exist.');
        context.keys.forget(apiKeyId);
        context.openRequests.endKey(apiKeyId);
        await context.audit.write(request, { action: 'api_key.revoke', resource: apiKeyId, outcome: 'revoked' });
        return apiKeyWire(apiKey);
      });
    },
  );
}

async function findApiKey(context: HttpContext, apiKeyId: string) {
  const apiKey = await context.store.getApiKey({ apiKeyId });
  if (apiKey === undefined) throw notFound('The API key does not exist.');
  return apiKeyWire(apiKey);
}
