/** A killed server ends a follow early. No client may treat that as the end of the output. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { baseEnv, cli, Deployment, MAIN } from '../helpers/harness.ts';
import { Started, until } from '../helpers/processes.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start();
}, 60_000);
afterAll(() => deployment.dispose(), 60_000);

/** The bytes of `response` before it broke, and the error. */
async function brokenOff(body: AsyncIterable<Uint8Array>): Promise<{ text: string; error: unknown }> {
  let read = '';
  try {
    for await (const bytes of body) read += Buffer.from(bytes).toString();
  } catch (error) {
    return { text: read, error };
  }
  return { text: read, error: undefined };
}

test('kill -9 of the server: fetch, node:http and curl report an error; the CLI continues at the same byte', async () => {
  const { machine, server } = deployment;
  const { execution_id: id } = await machine.create({
    command: ['/bin/sh', '-c', 'echo first; read line; echo "then $line"'],
    stdin_open: true,
  });
  await machine.printed(id, 'first');
  const path = `/v1/machines/${machine.machineId}/executions/${id}/output/stdout?follow=true`;
  const headers = { authorization: `Bearer ${server.key}` };

  const fetched = await fetch(server.url + path, { headers });
  const viaFetch = brokenOff(fetched.body as unknown as AsyncIterable<Uint8Array>);
  const asked = request(server.url + path, { headers }).end();
  const [incoming] = await once(asked, 'response');
  const viaHttp = brokenOff(incoming);
  const curl = new Started(
    'curl',
    ['-sSN', '-H', `authorization: ${headers.authorization}`, server.url + path],
    baseEnv(),
  );
  const env = { EXECPLANE_URL: server.url, EXECPLANE_API_KEY: server.key };
  const logs = spawn(process.execPath, [MAIN, 'executions', 'logs', '--follow', machine.machineId, id], {
    env: baseEnv(env),
  });
  const printed = text(logs.stdout);
  const exited = once(logs, 'exit');
  let shown = '';
  logs.stdout.on('data', (bytes: Buffer) => {
    shown += bytes.toString();
  });
  await until('both see the first line', () => curl.stdout === 'first\n' && shown === 'first\n');

  await server.kill();
  for (const { text: read, error } of await Promise.all([viaFetch, viaHttp])) {
    expect(read).toBe('first\n');
    expect(error).toBeInstanceOf(Error);
  }
  // 18: a part of the file arrived; 56: the connection was reset.
  expect([18, 56]).toContain((await curl.exited).code);

  await server.restart();
  await deployment.connected();
  expect((await cli(['executions', 'show', machine.machineId, id], env)).stdout).toContain('running');
  const stdin = `${server.url}/v1/machines/${machine.machineId}/executions/${id}/stdin?close=true`;
  const written = await fetch(stdin, { method: 'POST', headers, body: Buffer.from('more\n') });
  expect(written.status).toBe(200);
  expect(await printed).toBe('first\nthen more\n');
  expect(await exited).toEqual([0, null]);
});
