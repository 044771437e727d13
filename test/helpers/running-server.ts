/** Runs a complete server in this process, with a new data directory and a real socket. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { pino } from 'pino';
import { readServerConfig } from '../../src/server/config.ts';
import { startServer } from '../../src/server/main.ts';
import type { TracingConfig } from '../../src/server/operations/tracing/config.ts';
import { Client } from './client.ts';
import { makeDirectory, removeDirectory } from './directories.ts';
import { placeNewDatabase } from './new-database.ts';

export interface RunningTestServer extends AsyncDisposable {
  url: string;
  dir: string;
  /** A client that uses the admin key. */
  client: Client;
  /** The lines of the server's log. */
  log: string[];
  /** Restarts the server on the same port and directory. */
  restart(): Promise<void>;
  /** Makes a machine. Returns a credential for its agent. */
  machine(machineId: string): Promise<string>;
  /** Enrols with a join token. Returns the status and the credential. */
  enrol(joinToken: string, machineId?: string): Promise<{ status: number; credential: string }>;
}

/** Starts a server on a free port, with a new directory and `settings` as flags. */
export async function runningServer(
  settings: Record<string, string> = {},
  tracing?: TracingConfig,
): Promise<RunningTestServer> {
  const dir = makeDirectory('server');
  if (settings['databaseUrl'] === undefined) placeNewDatabase(join(dir, 'execplane.db'));
  const log: string[] = [];
  const config = readServerConfig({ dataDir: dir, port: '0', logLevel: 'debug', ...settings }, {});
  const logger = pino({ level: config.logLevel, base: null }, { write: (line: string) => void log.push(line) });
  let server = await startServer(config, logger, tracing);
  const port = new URL(server.url).port;
  const client = new Client(server.url, server.adminKey.key);
  const enrol = async (joinToken: string, machineId?: string) => {
    const credential = `xpa_${randomBytes(32).toString('base64url')}`;
    const body = { join_token: joinToken, credential, ...(machineId === undefined ? {} : { machine_id: machineId }) };
    const { status } = await client.with(undefined).request('POST', '/agent/v1/enrol', { body });
    return { status, credential };
  };
  return {
    url: server.url,
    dir,
    client,
    log,
    enrol,
    async restart() {
      await server.stop();
      server = await startServer({ ...config, port: Number(port) }, logger, tracing);
    },
    async machine(machineId) {
      const body = { machine_id: machineId };
      const { token } = await client.ask<{ token: string }>('POST', '/v1/join-tokens', { body });
      const { status, credential } = await enrol(token);
      if (status !== 200) throw new Error(`enrolment: ${status}`);
      return credential;
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      await removeDirectory(dir);
    },
  };
}

/** Opens the event stream of a waiting execution on a new machine, and disconnects. */
export async function leaveEvents({ client, machine }: RunningTestServer): Promise<void> {
  await machine('dm-one');
  const executions = client.machine('dm-one');
  const { execution_id: id } = await executions.create({ command: ['/bin/true'] });
  const reader = new AbortController();
  const headers = { accept: 'text/event-stream' };
  await client.open('GET', executions.at(id, '/events'), { headers, signal: reader.signal });
  reader.abort();
}
