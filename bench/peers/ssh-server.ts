/** The ssh2 peer: a server that starts the requested argv, as the sshd of a machine would start a shell. Prints its port. */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import type { Writable } from 'node:stream';

interface Channel extends Writable {
  stderr: Writable;
  exit(code: number): void;
}
interface Session {
  on(event: 'exec', listener: (accept: () => Channel, reject: () => void, info: { command: string }) => void): void;
}
interface Connection {
  on(event: 'authentication', listener: (context: { accept(): void }) => void): this;
  on(event: 'session', listener: (accept: () => Session) => void): this;
  on(event: 'error', listener: () => void): this;
  setNoDelay(): void;
}
interface Ssh2 {
  Server: new (
    options: { hostKeys: string[] },
    connected: (connection: Connection) => void,
  ) => { listen(port: number, host: string, then: () => void): void; address(): AddressInfo };
  utils: { generateKeyPairSync(kind: 'ed25519'): { private: string } };
}

const ssh2 = createRequire(import.meta.url)('ssh2') as Ssh2;
const server = new ssh2.Server({ hostKeys: [ssh2.utils.generateKeyPairSync('ed25519').private] }, (connection) => {
  // Without it each answer waits about 40 ms for the acknowledgement of the client's TCP.
  connection.setNoDelay();
  connection.on('authentication', (context) => context.accept());
  connection.on('error', () => undefined);
  connection.on('session', (accept) => {
    accept().on('exec', (acceptExec, _reject, { command }) => run(command.split(' '), acceptExec()));
  });
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
process.once('SIGTERM', () => process.exit());

function run([program = '', ...args]: readonly string[], channel: Channel): void {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });
  child.once('close', (code) => {
    channel.exit(code ?? 255);
    channel.end();
  });
}
