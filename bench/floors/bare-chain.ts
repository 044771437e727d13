/**
 * Passes the output of a command through as many Node processes as Execplane does, over the same kinds of connections, and does nothing else with it:
 * pipe, process, Unix socket, process, TCP, process, HTTP, client. No program with these processes is faster.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FORWARDER = fileURLToPath(new URL('./forwarder.ts', import.meta.url));

export class BareChain {
  readonly pids: Readonly<Record<string, number>>;
  readonly #processes: readonly ChildProcess[];
  readonly #port: number;

  private constructor(processes: readonly ChildProcess[], port: number) {
    const [runner = 0, link = 0, server = 0] = processes.map(({ pid }) => pid);
    this.pids = { server, link, runner };
    this.#processes = processes;
    this.#port = port;
  }

  /** Starts the processes. `dir`: an existing directory for the Unix socket. Each read runs `command` once. */
  static async start(dir: string, command: readonly string[]): Promise<BareChain> {
    const runner = await forwarder('runner', join(dir, 'chain.sock'), ...command);
    const link = await forwarder('link', runner.address);
    const server = await forwarder('server', link.address);
    return new BareChain([runner.process, link.process, server.process], Number(server.address));
  }

  /** Runs the command and reads its output. Returns the number of bytes. */
  async read(): Promise<number> {
    const [response] = await once(get({ port: this.#port, host: '127.0.0.1' }), 'response');
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    await once(response, 'end');
    return bytes;
  }

  /** Runs the command. Returns its first bytes, and their time of arrival (ms since the epoch). */
  async first(): Promise<{ bytes: Buffer; at: number }> {
    const [response] = await once(get({ port: this.#port, host: '127.0.0.1' }), 'response');
    const ended = once(response, 'end'); // It may come together with the bytes.
    const [bytes] = (await once(response, 'data')) as [Buffer];
    const at = performance.timeOrigin + performance.now();
    response.resume();
    await ended;
    return { bytes, at };
  }

  async close(): Promise<void> {
    for (const process of this.#processes) {
      process.kill();
      await once(process, 'exit');
    }
  }
}

async function forwarder(...args: readonly string[]): Promise<{ process: ChildProcess; address: string }> {
  const process = fork(FORWARDER, args);
  const [address] = await once(process, 'message');
  return { process, address: String(address) };
}
