/** Checks answers against the OpenAPI document: status, media type, headers and body, and no undocumented field. */
import type { ErrorObject, ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { OpenApiDocument, Operation } from '../../src/server/http/documents/openapi.ts';
import type { JsonSchema } from '../../src/server/http/documents/schema-objects.ts';

export interface CheckedAnswer {
  method: string;
  /** Path and query. */
  path: string;
  status: number;
  header(name: string): string | null | undefined;
  /** Absent for a stream, whose body the caller reads. */
  body?: Buffer;
}

/** Statuses with the schema ApiError; all other errors have the schema Problem (contract §1). */
const ERROR_STATUSES = new Set([401, 403, 409, 429, 503]);
/** Statuses that any route can answer, because they are sent before the server selects the route. */
const STATUSES_OF_ANY_ROUTE = new Set([400, 404, 413, 431, 500]);

export class Conformance {
  readonly #document: OpenApiDocument;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });
  readonly #paths: readonly { pattern: RegExp; path: string }[];
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(document: OpenApiDocument) {
    this.#document = closed(document) as OpenApiDocument;
    addFormats.default(this.#ajv);
    this.#ajv.addSchema(this.#document, 'openapi');
    this.#paths = Object.keys(document.paths).map((path) => ({
      path,
      pattern: new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`),
    }));
  }

  /** Throws if the answer does not conform to the document. */
  check(answer: CheckedAnswer): void {
    const wrong = this.#faults(answer);
    if (wrong.length === 0) return;
    const { method, path, status, body } = answer;
    const shown = body?.subarray(0, 2000).toString() ?? '';
    throw new Error(`${method} ${path} ${status}: not as in the OpenAPI document: ${wrong.join('; ')}\n${shown}`);
  }

  #faults({ method, path, status, header, body }: CheckedAnswer): string[] {
    if (!header('x-request-id')) return ['no x-request-id'];
    const shouldRetry = header('x-should-retry');
    if (status >= 400 && shouldRetry !== 'true' && shouldRetry !== 'false') return ['no x-should-retry'];
    const found = this.#find(method, path, status);
    if (typeof found === 'string') return [found];
    const type = header('content-type')?.replace(/; charset=utf-8$/, '') ?? '';
    const { content } = found.response;
    if ('x-event-stream' in found.response && type === 'text/event-stream') return [];
    if (content === undefined || status === 304) return [];
    if (content[type] === undefined) return [`${type || 'no media type'} instead of ${Object.keys(content)}`];
    if (body === undefined || method === 'HEAD' || !/[/+]json/.test(type)) return [];
    const validate = this.#validator(`${found.pointer}/content/${escaped(type)}/schema`);
    if (validate(JSON.parse(body.toString()))) return [];
    return (validate.errors ?? []).map(faultText);
  }

  /** The matching response of the document, or the error as text. */
  #find(method: string, path: string, status: number) {
    const bare = path.replace(/\?.*$/s, '');
    const known = this.#paths.find(({ pattern }) => pattern.test(bare))?.path;
    const verb = (method === 'HEAD' ? 'GET' : method).toLowerCase();
    const operation = known === undefined ? undefined : this.#document.paths[known]?.[verb];
    const response = operation?.responses[String(status)];
    if (known !== undefined && response !== undefined) {
      return { response, pointer: `/paths/${escaped(known)}/${verb}/responses/${status}` };
    }
    if (operation !== undefined && !STATUSES_OF_ANY_ROUTE.has(status)) return `no ${status} in the document`;
    if (operation === undefined && status < 400) return this.#undocumented(bare);
    return this.#anyRefusal(status);
  }

  /** Accepts the routes that the document leaves out: the document, its HTML page and the routes of the console. */
  #undocumented(path: string): string | { response: Operation['responses'][string]; pointer: string } {
    const itself = path === '/openapi.json' || path === '/docs' || path === '/' || path.startsWith('/console/');
    return itself ? { response: { description: '' }, pointer: '' } : 'not in the document';
  }

  #anyRefusal(status: number) {
    const [name, type] = ERROR_STATUSES.has(status)
      ? ['ApiError', 'application/json']
      : ['Problem', 'application/problem+json'];
    const pointer = '/paths/~1v1~1machines~1{machine_id}/get/responses';
    const response = { description: name, content: { [type]: { schema: {} } } };
    return { response, pointer: `${pointer}/${name === 'ApiError' ? 401 : 404}` };
  }

  #validator(pointer: string): ValidateFunction {
    const known = this.#validators.get(pointer);
    if (known !== undefined) return known;
    const made = this.#ajv.compile({ $ref: `openapi#${encodeURI(pointer)}` });
    this.#validators.set(pointer, made);
    return made;
  }
}

function faultText({ instancePath, message, params }: ErrorObject): string {
  return `${instancePath || '/'} ${message} ${JSON.stringify(params)}`;
}

function escaped(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** Forbids additional properties in each schema, since answers have exactly the fields of the contract. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, closed(inner)]));
  return isOpenObject(value as JsonSchema) ? { ...copy, additionalProperties: false } : copy;
}

function isOpenObject(schema: JsonSchema): boolean {
  return schema['type'] === 'object' && 'properties' in schema && !('additionalProperties' in schema);
}

let conformance: Conformance | undefined;

/** Checks an answer of the server. `load` fetches the document and is called once, since all servers of a test are the same build. */
export async function checkConformance(answer: CheckedAnswer, load: () => Promise<unknown>): Promise<void> {
  if (conformance === undefined) {
    const document = await load();
    // The document cannot be fetched from a server that was killed right after its answer.
    if (document === undefined) return;
    conformance ??= new Conformance(document as OpenApiDocument);
  }
  conformance.check(answer);
}
