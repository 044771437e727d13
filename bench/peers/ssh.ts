/** ssh2 with one connection, on which every command is a channel. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Peer } from './peer.ts';

interface Client {
  on(event: 'ready' | 'error', listener: (error?: Error) => void): this;
  connect(options: { host: string; port: number; username: string }): void;
  exec(command: string, then: (error: Error | undefined, channel: Channel) => void): void;
  setNoDelay(): void;
  end(): void;
}
type Channel = Readable & { stderr: Readable };

const SERVER = fileURLToPath(new URL('./ssh-server.ts', import.meta.url));

/** Starts a server in a separate process and connects to it. Throws if ssh2 is not installed. */
export async function sshPeer(): Promise<Peer> {
  const { Client } = createRequire(import.meta.url)('ssh2') as { Client: new () => Client };
  const server = spawn(process.execPath, [SERVER], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(server.stdout, 'data')) as [Buffer];
  const client = new Client();
  const ready = new Promise<void>((resolve, reject) => {
    client.on('ready', () => resolve()).on('error', (error) => reject(error));
  });
  client.connect({ host: '127.0.0.1', port: Number(line.toString()), username: 'bench' });
  await ready;
  client.setNoDelay();
  return {
    name: 'ssh2, one connection',
    run: (command) =>
      new Promise((resolve, reject) => {
        client.exec(command.join(' '), (error, channel) => {
          if (error !== undefined) return reject(error);
          let bytes = 0;
          let code = -1;
          channel.on('data', (chunk: Buffer) => {
            bytes += chunk.length;
          });
          channel.stderr.resume();
          channel.on('exit', (exit: number) => {
            code = exit;
          });
          channel.on('close', () => (code === 0 ? resolve(bytes) : reject(new Error(`exited with ${code}`))));
        });
      }),
    close: async () => {
      client.end();
      server.kill('SIGTERM');
      await once(server, 'exit');
    },
  };
}
