/** Generates requests. Most fields are valid, so that requests pass the first checks and fail at later ones. */
import fc from 'fast-check';

export interface FuzzRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: Buffer | undefined;
}

const ROUTES = [
  'POST /v1/machines/:machine/executions',
  'GET /v1/machines/:machine/executions',
  'GET /v1/machines/:machine/executions/:execution',
  'DELETE /v1/machines/:machine/executions/:execution',
  'GET /v1/machines/:machine/executions/:execution/events',
  'GET /v1/machines/:machine/executions/:execution/output',
  'GET /v1/machines/:machine/executions/:execution/output/stdout',
  'POST /v1/machines/:machine/executions/:execution/signal',
  'POST /v1/machines/:machine/executions/:execution/stdin',
  'GET /v1/executions',
  'GET /v1/machines',
  'GET /v1/machines/:machine',
  'POST /v1/machines/dm-none/rotate',
  'DELETE /v1/machines/dm-none',
  'POST /v1/api-keys',
  'GET /v1/api-keys',
  'DELETE /v1/api-keys/:text',
  'POST /v1/join-tokens',
  'GET /v1/join-tokens',
  'DELETE /v1/join-tokens/:text',
  'GET /v1/audit',
  'GET /v1/audit/export',
  'POST /v1/audit/release',
  'GET /healthz',
  'GET /openapi.json',
  'GET /metrics',
  'POST /agent/v1/enrol',
  'GET /agent/v1/link',
  'GET /:text',
] as const;

/** A valid value nine times out of ten, else an arbitrary one. */
const mostly = <T>(right: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 9, arbitrary: right }, { weight: 1, arbitrary: fc.jsonValue() });

const text = fc.string({ unit: 'binary', maxLength: 40 });
const awkward = fc.constantFrom(
  '',
  '\0',
  'a=b',
  '__proto__',
  'constructor',
  '\ud800',
  '\u202e',
  '../..',
  'x'.repeat(300),
);
const name = fc.oneof(fc.string({ maxLength: 12 }), awkward);
const span = fc.oneof(fc.nat(), fc.constantFrom(-1, 0, 0.5, 1e21, 2 ** 53, Number.MAX_VALUE));

const fields = {
  command: mostly(fc.array(fc.oneof(text, awkward), { minLength: 1, maxLength: 5 })),
  env: mostly(fc.dictionary(name, fc.oneof(text, awkward), { maxKeys: 4 })),
  stdin: mostly(text),
  stdin_encoding: mostly(fc.constant('base64')),
  stdin_open: mostly(fc.boolean()),
  cwd: mostly(fc.oneof(text, awkward)),
  user: mostly(name),
  timeout_ms: mostly(span),
  start_within_ms: mostly(span),
  output_mode: mostly(fc.constantFrom('keep', 'stream')),
  callback_url: mostly(fc.constantFrom('http://127.0.0.1:1/', 'https://[::1', 'file:///etc/passwd', 'http://u:p@h/')),
  signal: mostly(fc.constantFrom('SIGHUP', 'SIGKILL', 'SIGFOO')),
  name: mostly(name),
  scopes: mostly(fc.array(fc.constantFrom('executions:read', 'admin', 'root'), { maxLength: 3 })),
  machine_ids: mostly(fc.array(fc.constantFrom('dm-a', 'DM-A', ''), { maxLength: 2 })),
  expires_in_ms: mostly(span),
  machine_id: mostly(fc.constantFrom('dm-new', 'dm-fuzz', 'dm-', '../dm-a')),
  reusable: mostly(fc.boolean()),
  join_token: mostly(text),
  credential: mostly(fc.constantFrom(`xpa_${'a'.repeat(43)}`, 'xpa_')),
};
type Field = keyof typeof fields;

/** The fields of a body, by the end of the route. Bodies can have other fields too. */
const OWN: readonly (readonly [suffix: string, own: readonly Field[]])[] = [
  ['/executions', ['command', 'env', 'stdin', 'cwd', 'timeout_ms', 'output_mode']],
  ['/signal', ['signal']],
  ['/api-keys', ['name', 'scopes', 'machine_ids', 'expires_in_ms']],
  ['/join-tokens', ['machine_id', 'reusable', 'expires_in_ms']],
  ['/enrol', ['join_token', 'credential']],
];

function bodyOf(route: string): fc.Arbitrary<Buffer | undefined> {
  const own = OWN.find(([suffix]) => route.endsWith(suffix))?.[1] ?? [];
  const chosen = fc.subarray([...own]);
  const more = fc.oneof(
    { weight: 5, arbitrary: fc.constant<Field[]>([]) },
    { weight: 1, arbitrary: fc.subarray(Object.keys(fields) as Field[], { maxLength: 3 }) },
  );
  const whole = fc.tuple(fc.boolean(), chosen, more).chain(([all, some, others]) => {
    const names = new Set<Field>([...(all ? own : some), ...others]);
    return fc.record(Object.fromEntries([...names].map((field) => [field, fields[field]])));
  });
  const json = fc.oneof({ weight: 8, arbitrary: whole }, { weight: 1, arbitrary: fc.jsonValue() });
  const nested = fc.integer({ min: 1, max: 20_000 }).map((depth) => '['.repeat(depth));
  return fc.oneof(
    { weight: 12, arbitrary: json.map((value) => Buffer.from(JSON.stringify(value))) },
    { weight: 1, arbitrary: fc.oneof(text, nested).map((raw) => Buffer.from(raw)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)) },
    { weight: 1, arbitrary: fc.constant(Buffer.alloc(70_000, '[')) },
    { weight: 1, arbitrary: fc.constant(undefined) },
  );
}

const query = fc.dictionary(
  fc.constantFrom(
    ...['limit', 'cursor', 'wait_ms', 'status', 'since', 'encoding', 'tail', 'include', 'offset', 'release', 'close'],
    ...['follow', 'other'],
  ),
  fc.oneof(
    fc.constantFrom(
      '0',
      '1',
      '7',
      '-1',
      '1.5',
      '1e3',
      'true',
      'base64',
      'running',
      'output',
      '2026-01-31T12:00:00Z',
      '9'.repeat(30),
      '',
    ),
    text,
  ),
  { maxKeys: 3 },
);

/** Header values that a client is able to send. */
const headerValue = fc.string({ unit: fc.constantFrom(...'aZ09 ,;=/*"\\\t\u00ff'), maxLength: 30 });
const otherHeaders = fc.dictionary(
  fc.constantFrom(
    'idempotency-key',
    'last-event-id',
    'range',
    'accept',
    'content-encoding',
    'x-dedalus-org-id',
    'x-forwarded-for',
    'origin',
  ),
  fc.oneof(headerValue, fc.constantFrom('bytes=0-', 'bytes=-0', 'text/event-stream', '5', 'key-1')),
  { maxKeys: 2 },
);
const contentType = fc.constantFrom(
  ...[
    'application/json',
    'application/json; charset=utf-8',
    'application/octet-stream',
    'text/plain',
    '',
    'multipart/x',
  ],
);

/** Requests of a client with the ids of the machine `dm-fuzz` and of an execution on it, and these keys. */
export function requests(of: { keys: readonly string[]; executionId: string }): fc.Arbitrary<FuzzRequest> {
  const machine = fc.constantFrom('dm-fuzz', 'dm-fuzz', 'dm-fuzz', 'dm-none', 'DM-X', 'dm-', '..%2f..', '%00');
  const execution = fc.constantFrom(of.executionId, of.executionId, 'none', '-', '%ff', '__proto__', 'x'.repeat(600));
  const key = fc.constantFrom(...of.keys, ...of.keys, 'xpk_wrong', '');
  const whole = fc.constantFrom(...ROUTES).chain((route) => {
    const [own = '', pattern = ''] = route.split(' ');
    const method = fc.oneof(
      { weight: 9, arbitrary: fc.constant(own) },
      { weight: 1, arbitrary: fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE') },
    );
    const body = own === 'GET' ? fc.constant(undefined) : bodyOf(pattern);
    return fc.record({ method, pattern: fc.constant(pattern), body });
  });
  return fc
    .record({ whole, machine, execution, text, key, query, contentType, otherHeaders, byHeader: fc.boolean() })
    .map(({ whole, machine, execution, text, key, query, contentType, otherHeaders, byHeader }) => {
      const named = whole.pattern.replace(':machine', machine).replace(':execution', execution);
      const path = named.replace(':text', encodeURIComponent(text.toWellFormed()));
      const search = new URLSearchParams(Object.entries(query)).toString();
      const auth: Record<string, string> = byHeader ? { 'x-api-key': key } : { authorization: `Bearer ${key}` };
      return {
        method: whole.method,
        path: search === '' ? path : `${path}?${search}`,
        headers: { ...otherHeaders, ...auth, ...headersOf(whole.body, contentType) },
        body: whole.body,
      };
    });
}

/** Adds the length, which Node.js omits for methods that usually have no body. */
function headersOf(body: Buffer | undefined, contentType: string): Record<string, string> {
  return body === undefined ? {} : { 'content-type': contentType, 'content-length': String(body.length) };
}

/** Valid requests as bytes, with a key of few scopes. */
export function captures(p: { key: string; executionId: string }): Buffer[] {
  const at = '/v1/machines/dm-fuzz/executions';
  const head = `Host: localhost\r\nAuthorization: Bearer ${p.key}\r\n`;
  const create = JSON.stringify({ command: ['echo', 'hello'], env: { A: 'b' }, stdin: 'x', timeout_ms: 1000 });
  const chunks = `5\r\n${create.slice(0, 5)}\r\n${(create.length - 5).toString(16)}\r\n${create.slice(5)}\r\n0\r\n\r\n`;
  const json = 'Content-Type: application/json\r\n';
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n';
  return [
    `GET ${at}?limit=2&status=succeeded HTTP/1.1\r\n${head}\r\n`,
    `GET ${at}/${p.executionId}/events?limit=5 HTTP/1.1\r\n${head}\r\n`,
    `GET ${at}/${p.executionId}/output/stdout HTTP/1.1\r\n${head}Range: bytes=0-3\r\n\r\n`,
    `POST ${at} HTTP/1.1\r\n${head}${json}Content-Length: ${create.length}\r\nIdempotency-Key: a1\r\n\r\n${create}`,
    `POST ${at} HTTP/1.1\r\n${head}${json}Transfer-Encoding: chunked\r\n\r\n${chunks}`,
    `DELETE ${at}/${p.executionId} HTTP/1.1\r\n${head}${json}\r\n`,
    `GET /agent/v1/link HTTP/1.1\r\n${head}${upgrade}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  ].map((capture) => Buffer.from(capture));
}
