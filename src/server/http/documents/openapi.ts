/** Builds the OpenAPI 3.1 document from the schemas of the routes. */
import type { RouteOptions } from 'fastify';
import type { TSchema } from 'typebox';
import type { Access } from '../authentication/auth.ts';
import type { App } from '../http-context.ts';
import { COMPONENTS, type ComponentName } from '../../../api/components.ts';
import { BINARY, inline, type JsonSchema, parameterSchemas, refer } from './schema-objects.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Media type of the body if it is not JSON. */
    consumes?: string;
    produces?: string;
    /** Parts of an operation that the schema of its route does not state. */
    documented?: {
      headers?: readonly Parameter[];
      /** Set if Accept can make the 200 a stream of server-sent events: describes the events. */
      eventStream?: string;
      /** Refusals besides those of every route of its kind. */
      refusals?: readonly RefusalStatus[];
      /** Statuses besides 200 and refusals. */
      statuses?: Operation['responses'];
    };
  }
  interface FastifySchema {
    summary?: string;
    operationId?: string;
    tags?: readonly string[];
    /** Left out of the document. */
    hide?: boolean;
  }
}

export interface Operation {
  operationId: string;
  summary: string;
  description: string;
  tags: readonly string[];
  security?: readonly Record<string, readonly string[]>[];
  parameters: readonly Parameter[];
  requestBody?: { required: boolean; content: Content };
  responses: Record<string, Answer>;
}
interface Answer {
  description: string;
  headers?: Record<string, JsonSchema>;
  content?: Content;
  /** Server-sent events, requested by Accept. They are not in `content`: generators would merge all types of an answer into one. */
  'x-event-stream'?: string;
}
interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required: boolean;
  description?: string;
  explode?: boolean;
  schema: JsonSchema;
}
type Content = Record<string, { schema: JsonSchema }>;

export interface OpenApiDocument {
  openapi: '3.1.0';
  info: {
    title: string;
    version: string;
    description: string;
    license: { name: string; identifier: string };
    contact: { name: string };
  };
  tags: readonly { name: string; description: string }[];
  servers: readonly { url: string }[];
  security: readonly Record<string, readonly string[]>[];
  paths: Record<string, Record<string, Operation>>;
  components: { securitySchemes: JsonSchema; headers: JsonSchema; schemas: Record<string, JsonSchema> };
}

/** Records the routes that are registered after this call. */
export function collectRoutes(app: App): readonly RouteOptions[] {
  const routes: RouteOptions[] = [];
  app.addHook('onRoute', (route) => {
    if (route.method !== 'HEAD' && route.schema !== undefined && route.schema.hide !== true) routes.push(route);
  });
  return routes;
}

/** Returns the document for these routes. The sender adds the URL of the server. */
export function openApiDocument(routes: readonly RouteOptions[], version: string): OpenApiDocument {
  const paths: OpenApiDocument['paths'] = {};
  for (const route of routes) {
    const path = route.url.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [String(route.method).toLowerCase()]: operation(route) };
  }
  const schemas = Object.entries(COMPONENTS).map(([name, schema]) => [name, inline(schema)]);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Execplane',
      version,
      description: 'Run commands on your machines over HTTP, with results you can trust.',
      license: { name: 'MIT', identifier: 'MIT' },
      contact: { name: 'Execplane' },
    },
    tags: tagsOf(routes),
    servers: [{ url: '/' }],
    security: [{ bearer: [] }, { apiKey: [] }],
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
      },
      headers: HEADERS,
      schemas: Object.fromEntries(schemas) as Record<string, JsonSchema>,
    },
  };
}

/** Tags and their descriptions, in the order in which they are shown. */
const TAGS: Readonly<Record<string, string>> = {
  Executions: 'Run commands and read their output.',
  Terminals: 'Interactive commands on a pseudo-terminal.',
  Artifacts: 'Files that commands leave.',
  Machines: 'The machines that commands run on.',
  Administration: 'API keys, join tokens and the audit trail.',
  Agents: 'Requests of agents.',
  Health: 'Health and metrics of the server.',
};

/** Tags of the routes; a new one comes last. */
function tagsOf(routes: readonly RouteOptions[]): { name: string; description: string }[] {
  const used = new Set(routes.flatMap(({ schema }) => schema?.tags ?? []));
  const names = [...new Set([...Object.keys(TAGS), ...used])].filter((name) => used.has(name));
  return names.map((name) => ({ name, description: TAGS[name] ?? name }));
}

function operation(route: RouteOptions): Operation {
  const { schema = {}, config = {} } = route;
  const { body, response } = schema as { body?: TSchema; response?: Record<string, TSchema> };
  const answer = response?.['200'];
  const { consumes = 'application/json', produces = 'application/json' } = config;
  const takesBody = body !== undefined || config.consumes !== undefined;
  const { eventStream, statuses = {} } = config.documented ?? {};
  return {
    operationId: schema.operationId ?? '',
    summary: schema.summary ?? '',
    description: `${schema.summary ?? ''}.`,
    tags: schema.tags ?? [],
    ...(config.access === 'public' ? { security: [] } : {}),
    parameters: parametersOf(route),
    ...(takesBody
      ? { requestBody: { required: true, content: { [consumes]: { schema: bodySchema(body, consumes) } } } }
      : {}),
    responses: {
      200: {
        description: String((answer as JsonSchema | undefined)?.['description'] ?? 'The answer.'),
        headers: ANSWER_HEADERS,
        content: { [produces]: { schema: bodySchema(answer, produces) } },
        ...(eventStream === undefined ? {} : { 'x-event-stream': eventStream }),
      },
      ...statuses,
      ...errorResponses(route, takesBody),
    },
  };
}

const BYTES = new Set(['application/octet-stream', 'application/vnd.docker.multiplexed-stream']);

/** Returns the schema of a body. A body without a schema is bytes, or text. */
function bodySchema(schema: TSchema | undefined, type: string): JsonSchema {
  if (schema !== undefined) return refer(schema);
  return BYTES.has(type) ? BINARY : { type: 'string', description: 'Text.' };
}

function parametersOf(route: RouteOptions): Parameter[] {
  const { params, querystring } = (route.schema ?? {}) as { params?: TSchema; querystring?: TSchema };
  const headers = route.config?.documented?.headers ?? [];
  const parameters = [...fieldsOf(params, 'path'), ...fieldsOf(querystring, 'query'), ...headers];
  const access: Access = route.config?.access ?? 'any_key';
  if (access !== 'public' && (route.method === 'POST' || route.method === 'DELETE')) {
    parameters.push({
      name: 'Idempotency-Key',
      in: 'header',
      required: false,
      description: 'A repeated request with the same key within 24 h does nothing twice.',
      schema: { type: 'string', pattern: '^[!-~]{1,255}$', examples: ['5f0c1d9e-retry-safe'] },
    });
  }
  return parameters;
}

function fieldsOf(schema: TSchema | undefined, place: 'path' | 'query'): Parameter[] {
  return parameterSchemas(schema, place).map(([name, field]) => {
    const { description, explode = false, ignored: _ignored, ...rest } = field;
    return {
      name,
      in: place,
      required: place === 'path',
      ...(description === undefined ? {} : { description: String(description) }),
      // A list is one parameter, comma-separated.
      ...(rest['type'] === 'array' ? { explode: explode === true } : {}),
      schema: rest,
    };
  });
}

const HEADERS = {
  RequestId: header('Identifies this request, also in the log of the server.', {
    type: 'string',
    examples: ['req-8Kd2xq-1f'],
  }),
  IdempotencyReplayed: header('true if the same Idempotency-Key came before: nothing was done again.', {
    type: 'string',
    examples: ['true'],
  }),
  ShouldRetry: header('Whether the same request may succeed later.', { type: 'string', enum: ['true', 'false'] }),
  RetryAfterMs: header('Time after which to try again, in ms.', {
    type: 'integer',
    format: 'int32',
    minimum: 1,
    maximum: 60_000,
    examples: [1000],
  }),
  RetryAfter: header('The same in seconds, rounded up.', {
    type: 'integer',
    format: 'int32',
    minimum: 1,
    maximum: 60,
    examples: [1],
  }),
};
const ANSWER_HEADERS = {
  'x-request-id': headerReference('RequestId'),
  'idempotency-replayed': headerReference('IdempotencyReplayed'),
};
const REFUSAL_HEADERS = {
  'x-request-id': headerReference('RequestId'),
  'x-should-retry': headerReference('ShouldRetry'),
  'retry-after-ms': headerReference('RetryAfterMs'),
  'retry-after': headerReference('RetryAfter'),
};

function header(description: string, schema: JsonSchema): JsonSchema {
  return { description, schema };
}

function headerReference(name: keyof typeof HEADERS): JsonSchema {
  return { $ref: `#/components/headers/${name}` };
}

const REFUSALS = {
  400: ['The request is malformed: it has no Host, or its body is not JSON.', 'Problem'],
  401: ['The request has no key, or a key that is not valid.', 'ApiError'],
  403: ['The key does not allow this.', 'ApiError'],
  404: ['The resource does not exist.', 'Problem'],
  409: ['The request is not possible in the present state.', 'ApiError'],
  413: ['The body is too large.', 'Problem'],
  416: ['The stream has no such bytes.', 'Problem'],
  415: ['The body has the wrong media type.', 'Problem'],
  422: ['A field fails its schema.', 'Problem'],
  429: ['Too many requests.', 'ApiError'],
  500: ['A fault of the server.', 'Problem'],
  503: ['The database cannot be written now.', 'ApiError'],
} as const satisfies Record<number, readonly [string, ComponentName]>;

type RefusalStatus = keyof typeof REFUSALS;

function errorResponses(route: RouteOptions, takesBody: boolean): Operation['responses'] {
  const { params, querystring } = route.schema ?? {};
  const statuses = new Set<RefusalStatus>([400, 500, 503, ...(route.config?.documented?.refusals ?? [])]);
  const add = (condition: boolean, ...some: RefusalStatus[]): void => {
    if (condition) for (const status of some) statuses.add(status);
  };
  add(route.config?.access !== 'public', 401, 403, 429);
  add(params !== undefined, 404);
  add(querystring !== undefined || takesBody || route.method === 'DELETE', 422);
  add(route.method !== 'GET' || route.url.endsWith('/output'), 409);
  // A body is checked even if none is expected.
  add(route.method !== 'GET', 413, 415);
  const responses = [...statuses].map((status) => {
    const [description, name] = REFUSALS[status];
    const type = name === 'Problem' ? 'application/problem+json' : 'application/json';
    const headers = REFUSAL_HEADERS;
    return [
      status,
      { description, headers, content: { [type]: { schema: { $ref: `#/components/schemas/${name}` } } } },
    ];
  });
  return Object.fromEntries(responses) as Operation['responses'];
}
