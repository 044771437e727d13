/** Sends the input of one client to the terminal, in order, and holds it while the agent is offline and the client is connected. */
import type { TerminalSize } from '../../../core/launch-options.ts';
import type { StdinWriter } from '../../../core/protocol.ts';
import type { Execution } from '../../../store/store.ts';
import { pause } from '../../pause.ts';
import type { TerminalCommands } from './terminal-commands.ts';

/** Maximum bytes of waiting input of one client. */
const MAX_HELD_BYTES = 64 * 1024;
/** Delay before input that could not be sent to an offline agent is sent again, ms. */
const RETRY_MS = 200;

/** Memory of the input of one client above which it is not read, and at which it is read again: its terminal takes input slowly. */
const FULL_BYTES = 1024 * 1024;
const ROOM_BYTES = 256 * 1024;
/** Time after the client has disconnected in which its last input is still sent, ms. */
const FINISH_MS = 2000;
/** Memory of one message beside its bytes. */
const ITEM_BYTES = 128;

/** Outcomes after which the bytes are dropped: they may have arrived, and their offset is not known, or is wrong. */
const LOST: ReadonlySet<string> = new Set(['unknown', 'bad_offset', 'no_writers']);

type Item = { bytes: Buffer } | { size: TerminalSize };

export interface TerminalInputDeps {
  /** The client's own numbering of its input, and the offset of the first byte: with it, input that is sent again is not written twice. */
  writer?: StdinWriter | undefined;
  control: Pick<TerminalCommands, 'writeStdin' | 'resize'>;
  execution: Execution;
  /** Called when the terminal has all input before the offset. `numbered`: whether further input is still numbered. */
  accepted?: (offset: number, numbered: boolean) => void;
  /** Called when bytes were dropped: too many wait for an offline agent, or the first ones may have arrived, and their offset is not known. */
  dropped: () => void;
  failed: (cause: unknown) => void;
  /** Called when the client must not be read any more (true), and when it is to be read again. */
  full: (isFull: boolean) => void;
}

/** The input of one client of a terminal. */
export class TerminalInput {
  readonly #deps: TerminalInputDeps;
  readonly #aborted = new AbortController();
  /** Whether the client has disconnected. */
  #finishing = false;
  #queue: Item[] = [];
  /** Bytes that wait or are being sent. Above the limit the client is not read. */
  #heldBytes = 0;
  /** Offset after the last bytes that the runner acknowledged to this client. */
  #offset: number | undefined;
  /** The client's numbering. Its offset is that of the first bytes in the queue. */
  #writer: StdinWriter | undefined;
  /** Whether the first bytes in the queue may have arrived: at `#offset` they are not written twice. */
  #mayHaveArrived = false;
  #busy = false;
  #full = false;
  /** Whether the agent accepts input. Then a fast client is slowed down, and nothing is dropped. */
  #sending = false;

  constructor(deps: TerminalInputDeps) {
    this.#deps = deps;
    this.#writer = deps.writer;
  }

  /** Sends what a client sent before it disconnected, as long as the agent takes it. Later input is ignored. */
  finish(): void {
    if (this.#finishing) return;
    this.#finishing = true;
    if (this.#busy) setTimeout(() => this.abort(), FINISH_MS).unref();
  }

  /** Sends nothing more. */
  abort(): void {
    this.#finishing = true;
    this.#aborted.abort();
  }

  write(bytes: Buffer): void {
    const isTooMuch = this.#heldBytes > 0 && this.#heldBytes + bytes.length > MAX_HELD_BYTES && !this.#sending;
    // A client that numbers its input is slowed down instead.
    if (isTooMuch && this.#writer === undefined) {
      this.#deps.dropped();
      return;
    }
    this.#count(bytes.length);
    this.#push({ bytes });
  }

  /** Of several sizes in a row, the last one counts. The first item may be on its way. */
  resize(size: TerminalSize): void {
    const last = this.#queue.length > 1 ? this.#queue.at(-1) : undefined;
    if (last !== undefined && 'size' in last) last.size = size;
    else this.#push({ size });
  }

  #push(item: Item): void {
    if (this.#finishing) return;
    this.#queue.push(item);
    if (this.#busy) return;
    this.#busy = true;
    this.#drain()
      .catch(this.#deps.failed)
      .finally(() => {
        this.#busy = false;
      });
  }

  async #drain(): Promise<void> {
    const { signal } = this.#aborted;
    while (!signal.aborted) {
      const [first] = this.#queue;
      if (first === undefined) return;
      const sent = 'size' in first ? await this.#sendSize(first.size) : await this.#sendBytes();
      // If the client comes back through another server, its new input must not wait for the agent together with this.
      if (!sent && this.#finishing) return;
      if (!sent) await pause(RETRY_MS, signal);
    }
  }

  async #sendSize(size: TerminalSize): Promise<boolean> {
    this.#sending = true;
    const { control, execution } = this.#deps;
    const outcome = await control.resize({ execution, size }).finally(() => {
      this.#sending = false;
    });
    if (outcome === 'agent_away' || outcome === 'unknown') return false;
    this.#queue.shift();
    return true;
  }

  /** All input up to the next resize is sent in one piece. */
  async #sendBytes(): Promise<boolean> {
    const end = this.#queue.findIndex((item) => 'size' in item);
    const items = end < 0 ? this.#queue : this.#queue.slice(0, end);
    const bytes = Buffer.concat(items.flatMap((item) => ('bytes' in item ? [item.bytes] : [])));
    const count = items.length;
    this.#sending = true;
    const { control, execution } = this.#deps;
    const { signal } = this.#aborted;
    const written = await control.writeStdin({ execution, bytes, close: false, signal, ...this.#at() }).finally(() => {
      this.#sending = false;
    });
    const { outcome } = written;
    // Nothing was written: the numbers are not known there, or earlier input went to the runner without them.
    if (outcome === 'no_writers' || (outcome === 'bad_offset' && this.#writer !== undefined)) {
      this.#leaveNumbering();
      if (!this.#mayHaveArrived || this.#offset !== undefined) return this.#sendBytes();
    }
    if (outcome === 'unknown') this.#mayHaveArrived = true;
    const canRepeat = this.#offset !== undefined || this.#writer !== undefined;
    if (outcome === 'agent_away' || (outcome === 'unknown' && canRepeat)) return false;
    if (LOST.has(outcome)) this.#deps.dropped();
    if (outcome === 'written') this.#offset = written.offset;
    this.#mayHaveArrived = false;
    // Any other answer (`not_open`: the shell has ended) means that these bytes are not sent again.
    this.#queue.splice(0, count);
    this.#count(-bytes.length);
    if (this.#writer !== undefined) this.#accepted(this.#writer, bytes.length);
    return true;
  }

  /** Returns the position of the first bytes in the queue, at which a repetition is not written twice. */
  #at(): { writer?: StdinWriter; offset?: number } {
    if (this.#writer !== undefined) return { writer: this.#writer };
    return this.#mayHaveArrived && this.#offset !== undefined ? { offset: this.#offset } : {};
  }

  #accepted({ id, offset }: StdinWriter, bytes: number): void {
    this.#writer = { id, offset: offset + bytes };
    this.#deps.accepted?.(this.#writer.offset, true);
  }

  /** The agent, or the server that it is connected to, does not number the input of clients: the client must not send input again. */
  #leaveNumbering(): void {
    if (this.#writer !== undefined) this.#deps.accepted?.(this.#writer.offset, false);
    this.#writer = undefined;
  }

  #count(bytes: number): void {
    this.#heldBytes += bytes;
    const usedBytes = this.#heldBytes + this.#queue.length * ITEM_BYTES;
    const isFull = usedBytes > (this.#full ? ROOM_BYTES : FULL_BYTES);
    if (isFull === this.#full) return;
    this.#full = isFull;
    this.#deps.full(isFull);
  }
}
