/** Reads an output stream of an execution in stream mode to its end, reconnects when a connection breaks, and releases received output. */
import { createHash } from 'node:crypto';
import type { MachineClient } from './client.ts';

const RELEASE_EVERY_BYTES = 65_536;

export class StreamReader {
  readonly #machine: MachineClient;
  readonly #executionId: string;
  readonly #stream: 'stdout' | 'stderr';
  readonly #hash = createHash('sha256');
  /** The number of bytes received. */
  offset = 0;
  #released = 0;
  /** The number of broken connections. */
  cuts = 0;

  constructor(machine: MachineClient, executionId: string, stream: 'stdout' | 'stderr' = 'stdout') {
    this.#machine = machine;
    this.#executionId = executionId;
    this.#stream = stream;
  }

  get sha256(): string {
    return this.#hash.copy().digest('hex');
  }

  /** Reads to the end, or until `enough` bytes have arrived. */
  async read(enough = Number.POSITIVE_INFINITY): Promise<void> {
    while (!(await this.#follow(enough))) this.cuts += 1;
  }

  /** Reads one connection. Returns true if the stream has ended, false if the connection broke. */
  async #follow(enough: number): Promise<boolean> {
    const aborted = new AbortController();
    try {
      const query = { follow: true, offset: this.offset };
      const response = await this.#machine.client.open('GET', this.#path, { query, signal: aborted.signal });
      if (response.status >= 500) throw new Error(`the server answers ${response.status}`);
      if (response.status !== 200) throw new RangeError(`${response.status} ${await response.text()}`);
      for await (const bytes of response.body ?? []) {
        this.#hash.update(bytes);
        this.offset += bytes.length;
        if (this.offset - this.#released >= RELEASE_EVERY_BYTES) await this.release();
        if (this.offset >= enough) return true;
      }
      return true;
    } catch (error) {
      if (error instanceof RangeError) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return false;
    } finally {
      aborted.abort();
    }
  }

  /** Releases the output received so far. */
  async release(): Promise<void> {
    const query = { offset: this.offset, release: true };
    const { status } = await this.#machine.client.request('HEAD', this.#path, { query });
    if (status !== 200) throw new Error(`released: ${status}`);
    this.#released = this.offset;
  }

  get #path(): string {
    return this.#machine.at(this.#executionId, `/output/${this.#stream}`);
  }
}

/** Reads stdout of an execution in stream mode to its end. Rejects if the server refuses it. */
export async function readWhole(machine: MachineClient, executionId: string): Promise<StreamReader> {
  const reader = new StreamReader(machine, executionId);
  await reader.read();
  return reader;
}
