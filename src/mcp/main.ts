/** Serves the Model Context Protocol over the client library: tools with which a model runs commands on machines. */
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Execplane } from '../client/main.ts';
import { addExecutionTools } from './execution-tools.ts';
import { addMachineTools } from './machine-tools.ts';

const INSTRUCTIONS =
  'Runs commands on machines of the user. Begin with list_machines. Commands run without a shell, and keep running if a connection is lost. Their output is kept.';

interface McpOptions {
  client: Execplane;
  /** The name and version of this program. */
  version: string;
}

/** Serves one host on stdin and stdout. Settles when the host has disconnected. */
export async function serveMcpOnStdio(options: McpOptions): Promise<void> {
  const server = buildMcpServer(options);
  const closed = new Promise<void>((resolve) => {
    server.server.onclose = resolve;
    process.stdin.once('end', resolve);
  });
  await server.connect(new StdioServerTransport());
  await closed;
  await server.close();
}

/** Answers one request of streamable HTTP. No state is kept between requests, so that any server can answer the next one. */
export async function answerMcp(
  options: McpOptions,
  p: { request: IncomingMessage; response: ServerResponse; body: unknown },
): Promise<void> {
  const server = buildMcpServer(options);
  const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
  p.response.once('close', () => void server.close());
  await server.connect(transport as Parameters<McpServer['connect']>[0]);
  await transport.handleRequest(p.request, p.response, p.body);
}

function buildMcpServer({ client, version }: McpOptions): McpServer {
  const server = new McpServer({ name: 'execplane', version }, { instructions: INSTRUCTIONS });
  addMachineTools(server, client);
  addExecutionTools(server, client);
  return server;
}
