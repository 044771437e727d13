/** A scripted HTTP server that records the requests. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export interface Asked {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: string;
}

export interface ScriptedServer {
  url: string;
  asked: Asked[];
}

type Script = (response: ServerResponse, asked: Asked) => void;

/** Starts a server with one script for each request; the last one answers all later requests. It is closed after the test. */
export async function scriptedServer(...scripts: [Script, ...Script[]]): Promise<ScriptedServer> {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const text of request.setEncoding('utf8')) body += text;
    const { method = '', url: path = '', headers } = request;
    const one = { method, path, headers, body };
    asked.push(one);
    (scripts[asked.length - 1] ?? scripts.at(-1))?.(response, one);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

/** Answers with JSON. */
export function json(value: unknown, status = 200, headers: Record<string, string> = {}): Script {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
  };
}

/** Closes the connection in the middle of the body. */
export function cut(value: unknown): Script {
  return (response) => {
    const text = JSON.stringify(value);
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length });
    response.write(text.slice(0, text.length / 2), () => response.destroy());
  };
}

/** Closes the connection before the answer. */
export const refuseToTalk: Script = (response) => response.destroy();
