/** Sends hints through NOTIFY, packed, on separate connections. A NOTIFY within a writing transaction would serialise the commits. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Hint, HintListener } from '../../store.ts';
import { type Connection, connect } from './connection.ts';
import type { DatabaseAddress } from './url.ts';

/** PostgreSQL accepts payloads of less than 8,000 bytes. */
const MAX_PAYLOAD_BYTES = 7900;
const REDIAL_MS = 1000;
/** Interval of the checks for a half-open connection, which reports nothing by itself, ms. */
const CHECK_INTERVAL_MS = 5000;
/** Time without an answer after which a connection is given up, ms. */
const ANSWER_TIMEOUT_MS = 5000;
/** The channel contains the schema: servers on another schema of the database do not receive its hints. */
const CHANNEL = "'execplane_' || current_schema()";

/** Does not wait for the disk: a lost hint is harmless. */
const NOT_DURABLE = { text: 'SET synchronous_commit = off' };

/** Sends and receives hints. Owns two connections. */
export class HintBus {
  readonly #address: DatabaseAddress;
  readonly #stop = new AbortController();
  #sender: Promise<Connection> | undefined;
  #listening: Promise<void> | undefined;

  constructor(address: DatabaseAddress) {
    this.#address = address;
  }

  /** Sends hints. Rejects with StoreUnavailableError; then the hints are lost. */
  async send(hints: readonly Hint[]): Promise<void> {
    this.#sender ??= connect(this.#address, { settings: NOT_DURABLE, answerTimeoutMs: ANSWER_TIMEOUT_MS });
    const dialled = this.#sender;
    try {
      const connection = await dialled;
      const text = `SELECT pg_notify(${CHANNEL}, $1)`;
      await Promise.all(packed(hints).map((payload) => connection.query({ name: 'hint', text, values: [payload] })));
    } catch (error) {
      if (this.#sender === dialled) this.#sender = undefined;
      dialled.then(
        (connection) => connection.destroy(),
        () => undefined,
      );
      throw error;
    }
  }

  /** Calls `listener` until the returned function is called. */
  listen(listener: HintListener): () => Promise<void> {
    this.#listening = this.#listen(listener);
    return async () => {
      this.#stop.abort();
      await this.#listening;
    };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#listening;
    const sender = await this.#sender?.catch(() => undefined);
    if (sender?.alive === true) await sender.close();
  }

  async #listen(listener: HintListener): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      // An unreachable database is not reported: polls find the missed changes as soon as it is back.
      await this.#listenOnce(listener).catch(() => undefined);
      await sleep(REDIAL_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Settles when the connection is lost, or with `close`. */
  async #listenOnce(listener: HintListener): Promise<void> {
    const { signal } = this.#stop;
    const connection = await connect(this.#address, { answerTimeoutMs: ANSWER_TIMEOUT_MS });
    connection.onNotification((payload) => {
      for (const hint of unpacked(payload)) listener.hinted(hint);
    });
    try {
      const [row] = await connection.query<{ channel: string }>({ text: `SELECT quote_ident(${CHANNEL}) AS channel` });
      await connection.run({ text: `LISTEN ${row?.channel}` });
      listener.missedHints();
      while (!signal.aborted && connection.alive) {
        await Promise.race([connection.lost, sleep(CHECK_INTERVAL_MS, undefined, { signal }).catch(() => undefined)]);
        if (!signal.aborted && connection.alive) await connection.query({ text: 'SELECT 1' });
      }
    } finally {
      connection.destroy();
    }
  }
}

/** Packs hints into payloads, one hint per line: `e ID SEQUENCE`, `m ID`, `c ID`, `s ID`, `b ID`, `i REPLICA`. */
function packed(hints: readonly Hint[]): string[] {
  const payloads: string[][] = [];
  let bytes = MAX_PAYLOAD_BYTES;
  for (const line of hints.map(lineOf)) {
    if (bytes + line.length + 1 > MAX_PAYLOAD_BYTES) {
      payloads.push([]);
      bytes = 0;
    }
    payloads.at(-1)?.push(line);
    bytes += line.length + 1;
  }
  return payloads.map((lines) => lines.join('\n'));
}

function lineOf(hint: Hint): string {
  switch (hint.about) {
    case 'execution':
      return `e ${hint.executionId} ${hint.progress}`;
    case 'machine':
      return `m ${hint.machineId}`;
    case 'cancel':
      return `c ${hint.machineId}`;
    case 'status':
      return `s ${hint.machineId}`;
    case 'batch':
      return `b ${hint.batchId}`;
    case 'inbox':
      return `i ${hint.replicaId}`;
  }
}

/** Parses a payload. Unknown hints are ignored: a later version may add some. */
function unpacked(payload: string): Hint[] {
  return payload.split('\n').flatMap((line): Hint[] => {
    const [about, subject = '', progress = '0'] = line.split(' ');
    if (about === 'e') return [{ about: 'execution', executionId: subject, progress: Number(progress) }];
    if (about === 'm') return [{ about: 'machine', machineId: subject }];
    if (about === 'c') return [{ about: 'cancel', machineId: subject }];
    if (about === 's') return [{ about: 'status', machineId: subject }];
    if (about === 'b') return [{ about: 'batch', batchId: subject }];
    return about === 'i' ? [{ about: 'inbox', replicaId: Number(subject) }] : [];
  });
}
