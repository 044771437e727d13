/** Input for a terminal. It is kept until the server has acknowledged it, and sent again on the next connection if that broke before. */

/** Bytes of input that may wait to be sent or acknowledged. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** Size of a message. Each is acknowledged, which also shows that a slow connection is alive. */
const MAX_MESSAGE_BYTES = 16 * 1024;
/** Bytes that are sent and not acknowledged. The server holds no more while the machine is offline. */
const MAX_UNACKNOWLEDGED_BYTES = 64 * 1024;

/** The input of one terminal, over all connections to it. */
export class TerminalInput {
  /** Names the numbering of this input. The server writes no byte of it twice. */
  writer = newWriter();
  /** Number of bytes of this numbering that the server has acknowledged or, if it acknowledges none, that were sent. */
  offset = 0;
  /** Bytes that wait to be sent or acknowledged. */
  waitingBytes = 0;
  /** The messages that wait, in order. The first ones were sent. */
  #messages: Uint8Array<ArrayBuffer>[] = [];
  /** Number of messages that were sent on this connection, and of their bytes. */
  #sentCount = 0;
  #sentBytes = 0;
  /** Whether the server acknowledges input. */
  #numbered = false;
  /** Whether the server of the present connection answers pings. */
  #answers = false;

  /** Whether the server owes an answer, because it has to acknowledge input, or answers pings at all. */
  get answerState(): 'due' | 'idle' | 'mute' {
    if (!this.#answers) return 'mute';
    return this.#numbered && this.#sentCount > 0 ? 'due' : 'idle';
  }

  /** Adds input. Returns false and adds nothing if too much waits already. */
  add(bytes: Uint8Array): boolean {
    if (this.waitingBytes + bytes.length > MAX_WAITING_BYTES) return false;
    this.waitingBytes += bytes.length;
    for (let at = 0; at < bytes.length; at += MAX_MESSAGE_BYTES) {
      this.#messages.push(bytes.slice(at, at + MAX_MESSAGE_BYTES));
    }
    return true;
  }

  /** Returns the messages to send now, in order. */
  next(): Uint8Array<ArrayBuffer>[] {
    const start = this.#sentCount;
    for (const { length } of this.#messages.slice(start)) {
      if (this.#numbered && this.#sentBytes > 0 && this.#sentBytes + length > MAX_UNACKNOWLEDGED_BYTES) break;
      this.#sentCount += 1;
      this.#sentBytes += length;
    }
    const messages = this.#messages.slice(start, this.#sentCount);
    if (!this.#numbered) this.#drop(this.#sentBytes);
    return messages;
  }

  /** Begins a connection on which nothing was sent. `numbered`: the server acknowledges input, and drops what it has already. */
  connected(numbered: boolean): void {
    // Another server has no numbers: it would write again what was sent on the connection that broke.
    if (!numbered) this.#leaveNumbering();
    this.#numbered = numbered;
    this.#answers = numbered;
    this.#sentCount = 0;
    this.#sentBytes = 0;
  }

  disconnected(): void {
    this.#answers = false;
  }

  /** The server has all bytes before the offset. `numbered`: it acknowledges further ones. */
  acknowledged(offset: number, numbered: boolean): void {
    this.#drop(offset - this.offset);
    if (numbered) return;
    this.#numbered = false;
    this.#leaveNumbering();
  }

  /** Further input is sent without numbers. The next connection begins another numbering: this one would have a gap. */
  #leaveNumbering(): void {
    this.#drop(this.#sentBytes);
    this.writer = newWriter();
    this.offset = 0;
  }

  /** Drops this many bytes from the start. */
  #drop(bytes: number): void {
    let left = Math.min(bytes, this.waitingBytes);
    while (left > 0) {
      const [first] = this.#messages;
      if (first === undefined) return;
      const length = Math.min(left, first.length);
      if (length === first.length) this.#messages.shift();
      else this.#messages[0] = first.slice(length);
      if (length === first.length) this.#sentCount = Math.max(0, this.#sentCount - 1);
      this.#sentBytes = Math.max(0, this.#sentBytes - length);
      this.waitingBytes -= length;
      this.offset += length;
      left -= length;
    }
  }
}

function newWriter(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
