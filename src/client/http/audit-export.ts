/** The audit trail as a stream of entries, for archives. */
import type { AuditEntryWire } from '../../api/admin.ts';
import { parseObject, UnexpectedAnswerError } from './errors.ts';
import { resumedStream } from './resumed-stream.ts';
import { hasShape } from './shape.ts';
import { AUDIT_ENTRY } from './shapes.ts';
import type { HttpResponse, Transport } from './transport.ts';

export interface ExportOptions {
  /** Id of the last entry that is known already. */
  after?: string | undefined;
  signal?: AbortSignal;
}

/** Time without data after which a connection counts as broken, ms. */
const SILENCE_MS = 60_000;

/** Yields all entries after `after`, oldest first, once each, over any number of broken connections. Throws ExecplaneError. */
export async function* exportAudit(
  transport: Transport,
  { after, signal }: ExportOptions,
): AsyncGenerator<AuditEntryWire> {
  let last = after;
  let lines: EntryDecoder | undefined;
  const entries = {
    async open() {
      const call = { query: { after: last }, headers: { accept: 'application/x-ndjson' }, attempts: 1, signal };
      const response = await transport.open('GET', '/v1/audit/export', call);
      const decoder = new EntryDecoder(response, transport.origin);
      lines = decoder;
      return { response, decode: (bytes: Uint8Array) => decoder.decode(bytes) };
    },
    received({ audit_id: id }: AuditEntryWire) {
      last = id;
      return false;
    },
    /** An export that ended within an entry has broken off. */
    isComplete: () => Promise.resolve(lines?.rest === ''),
  };
  yield* resumedStream(transport, entries, { signal, silenceMs: SILENCE_MS });
}

/** Decodes the lines of one answer. Throws UnexpectedAnswerError. */
class EntryDecoder {
  /** The beginning of the next line. */
  rest = '';
  readonly #response: HttpResponse;
  readonly #origin: string;
  readonly #text = new TextDecoder();

  constructor(response: HttpResponse, origin: string) {
    this.#response = response;
    this.#origin = origin;
  }

  *decode(bytes: Uint8Array): Generator<AuditEntryWire> {
    const lines = (this.rest + this.#text.decode(bytes, { stream: true })).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) {
      const entry = parseObject(line);
      if (entry === undefined || !hasShape(entry, AUDIT_ENTRY))
        throw new UnexpectedAnswerError(this.#response, { origin: this.#origin });
      yield entry;
    }
  }
}
