/** Requests of the client: retries, and answers that are malformed. */
import { describe, expect, test } from 'vitest';
import { Execplane, RefusedError, UnexpectedAnswerError, UnreachableError } from '../../../src/client/main.ts';
import { freePort } from '../../helpers/free-port.ts';
import { answeredExecution, answeredMachine } from '../answers.ts';
import { cut, json, refuseToTalk, type ScriptedServer, scriptedServer } from '../scripted-server.ts';

const TOKEN = { join_token_id: 'join-1', reusable: false, created_at: '', expires_at: '', token: 'xpj_x' };
const BUSY = { error_code: 'RATE_LIMITED', message: 'Too many requests.', retryable: true, retry_after_ms: 1 };

function clientOf({ url }: ScriptedServer): Execplane {
  return new Execplane({ url, apiKey: 'xpk_test' });
}

describe('retries', () => {
  test.each([
    ['a body that was cut', cut(TOKEN)],
    ['a connection that was closed', refuseToTalk],
    ['a retryable refusal', json(BUSY, 429)],
    ['a gateway whose server restarts', json('<html>', 502, { 'content-type': 'text/html' })],
  ])('a request is sent again with the same Idempotency-Key after %s', async (_what, first) => {
    const server = await scriptedServer(first, json(TOKEN));
    expect(await clientOf(server).joinTokens.create()).toEqual(TOKEN);
    const keys = server.asked.map(({ headers }) => headers['idempotency-key']);
    expect(keys).toHaveLength(2);
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(keys[1]).toBe(keys[0]);
  });

  test('two requests have two keys', async () => {
    const server = await scriptedServer(json(TOKEN));
    await clientOf(server).joinTokens.create();
    await clientOf(server).joinTokens.create();
    expect(new Set(server.asked.map(({ headers }) => headers['idempotency-key'])).size).toBe(2);
  });

  test('the keys are those of the option newKey, one for each request', async () => {
    const server = await scriptedServer(cut(TOKEN), json(TOKEN));
    let made = 0;
    const client = new Execplane({ url: server.url, apiKey: 'xpk_test', newKey: () => `key-${++made}` });
    await client.joinTokens.create();
    await client.joinTokens.create();
    expect(server.asked.map(({ headers }) => headers['idempotency-key'])).toEqual(['key-1', 'key-1', 'key-2']);
  });

  test('an address with a path is a prefix, and a 404 names the whole address', async () => {
    const server = await scriptedServer(json(TOKEN), json({ detail: 'The resource does not exist.' }, 404));
    const client = new Execplane({ url: `${server.url}/execplane/`, apiKey: 'xpk_test' });
    await client.joinTokens.create();
    expect(server.asked[0]?.path).toBe('/execplane/v1/join-tokens');
    await expect(client.machines.get('dm-one')).rejects.toMatchObject({
      prefix: '/execplane',
      message: `The resource does not exist. (${server.url}/execplane/v1/machines/dm-one)`,
    });
  });

  test('a refusal that is not retryable is not sent again', async () => {
    const refusal = {
      error_code: 'INVALID_STATE',
      message: 'No.',
      retryable: false,
      details: { reason: 'agent_away' },
    };
    const server = await scriptedServer(json(refusal, 409, { 'x-request-id': 'req-7' }));
    const error = await clientOf(server)
      .machines.rotate('dm-one')
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(RefusedError);
    expect(error).toMatchObject({
      status: 409,
      code: 'INVALID_STATE',
      message: 'No.',
      retryable: false,
      details: { reason: 'agent_away' },
      requestId: 'req-7',
    });
    expect(server.asked).toHaveLength(1);
  });

  test('x-should-retry overrides every other rule', async () => {
    const server = await scriptedServer(json({ detail: 'A fault.' }, 500, { 'x-should-retry': 'false' }));
    await expect(clientOf(server).machines.get('dm-one')).rejects.toMatchObject({ status: 500, retryable: false });
    expect(server.asked).toHaveLength(1);
  });

  test('there are four attempts by default', async () => {
    const server = await scriptedServer(json(BUSY, 429));
    await expect(clientOf(server).machines.get('dm-one')).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    expect(server.asked).toHaveLength(4);
    const twice = new Execplane({ url: server.url, attempts: 2 });
    await expect(twice.machines.get('dm-one')).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    expect(server.asked).toHaveLength(6);
  });
});

describe('errors', () => {
  test('an empty answer with 503 comes from a proxy that reaches no server', async () => {
    const server = await scriptedServer((response) => response.writeHead(503).end());
    const client = new Execplane({ url: server.url, attempts: 1 });
    await expect(client.machines.get('dm-one')).rejects.toMatchObject({
      status: 503,
      retryable: true,
      message: 'HTTP 503 from a proxy: it reaches no server of Execplane that is ready',
    });
  });

  test('a 422 names its fields', async () => {
    const errors = [{ location: 'body.name', message: 'must not be empty' }];
    const server = await scriptedServer(
      json({ status: 422, detail: 'The request does not fit.', errors }, 422, {
        'content-type': 'application/problem+json',
      }),
    );
    const made = clientOf(server).keys.create({ name: '', scopes: ['admin'] });
    await expect(made).rejects.toMatchObject({
      status: 422,
      fields: errors,
      message: 'The request does not fit.\n  body.name: must not be empty',
    });
  });

  test('the error without a listener has the reason, not "fetch failed"', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const client = new Execplane({ url, attempts: 1 });
    const error = await client.ready().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UnreachableError);
    expect((error as Error).message).toMatch(/^http:\S+ cannot be reached: .*ECONNREFUSED/);
  });

  test.each([
    ['a page', json('x', 404, { 'content-type': 'text/html' }), /HTTP 404 with text\/html/],
    ['a page with 200', (response: import('node:http').ServerResponse) => void response.end('<html>'), /HTTP 200/],
    ['a redirect', json({}, 301, { location: 'https://other.example/v1' }), /redirect \(301\) to https:\/\/other/],
  ])('%s is not an answer of the API; the key is sent nowhere else', async (_what, script, message) => {
    const server = await scriptedServer(script);
    const error = await clientOf(server)
      .machines.get('dm-one')
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UnexpectedAnswerError);
    expect((error as Error).message).toMatch(message);
    expect(server.asked).toHaveLength(1);
  });
});

describe('a JSON answer with other fields than src/api describes is an error that names the first one', () => {
  const wrong = (value: unknown) => expect.objectContaining({ name: 'UnexpectedAnswerError', mismatch: value });

  test('a missing field, as from an older server', async () => {
    const { status: _status, ...older } = answeredMachine();
    const server = await scriptedServer(json(older));
    const get = clientOf(server).machines.get('dm-one');
    await expect(get).rejects.toEqual(wrong('`status` is missing'));
    await expect(get).rejects.toThrow(`${server.url} does not answer as Execplane does: it answers HTTP 200 with`);
    expect(server.asked).toHaveLength(1);
  });

  test('a field of another type, deep in a page', async () => {
    const item = { ...answeredExecution('one'), command: ['echo', 7] };
    const server = await scriptedServer(json({ items: [answeredExecution('two'), item] }));
    const list = clientOf(server).machine('dm-one').executions();
    await expect(Array.fromAsync(list)).rejects.toEqual(wrong('`items[1].command[1]` is not a string'));
  });

  test('another JSON service that always sends ok', async () => {
    const server = await scriptedServer(json({ ok: true }));
    await expect(clientOf(server).machine('dm-one').run(['true'])).rejects.toEqual(wrong('`execution_id` is missing'));
  });

  test('additional fields are kept, since a newer server sends them', async () => {
    const newer = { ...answeredMachine(), colour: 'green' };
    const server = await scriptedServer(json(newer));
    expect(await clientOf(server).machines.get('dm-one')).toEqual(newer);
  });
});

test('an abort throws the reason of the AbortSignal, between attempts too', async () => {
  const abort = new AbortController();
  const server = await scriptedServer((response) => {
    json({ ...BUSY, retry_after_ms: 60_000 }, 429)(response, { method: '', path: '', headers: {}, body: '' });
    response.once('finish', () => abort.abort(new Error('enough')));
  });
  await expect(clientOf(server).machine('dm-one').get({ signal: abort.signal })).rejects.toThrow('enough');
  expect(server.asked).toHaveLength(1);
});

describe('lists', () => {
  const [one, two, three] = [answeredExecution('one'), answeredExecution('two'), answeredExecution('three')];
  const pages = [json({ items: [one, two], next_cursor: 'two' }), json({ items: [three] })] as const;

  test('give one page if awaited', async () => {
    const server = await scriptedServer(...pages);
    const list = clientOf(server).machine('dm-one').executions({ limit: 2 });
    expect(await list).toEqual({ items: [one, two], next_cursor: 'two' });
    expect(server.asked.map(({ path }) => path)).toEqual(['/v1/machines/dm-one/executions?limit=2']);
  });

  test('give every item of every page if iterated', async () => {
    const server = await scriptedServer(...pages);
    const list = clientOf(server).machine('dm-one').executions({ status: 'failed' });
    expect(await Array.fromAsync(list)).toEqual([one, two, three]);
    expect(server.asked.map(({ path }) => path)).toEqual([
      '/v1/machines/dm-one/executions?status=failed',
      '/v1/machines/dm-one/executions?status=failed&cursor=two',
    ]);
  });
});

test('a path in the URL is kept, and ids are escaped', async () => {
  const server = await scriptedServer(json(answeredMachine()));
  await new Execplane({ url: `${server.url}/execplane/` }).machines.get('a/b');
  expect(server.asked[0]).toMatchObject({ path: '/execplane/v1/machines/a%2Fb' });
  expect(server.asked[0]?.headers.authorization).toBeUndefined();
});
