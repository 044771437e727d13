/** The audit trail as a stream of entries, for archives. */
import type { AuditEntryWire } from '../../api/admin.ts';
import { ExecplaneError, isRetryable, parseObject, UnexpectedAnswerError, UnreachableError } from './errors.ts';
import { Outage } from './outage.ts';
import { readChunks } from './read-chunks.ts';
import { hasShape } from './shape.ts';
import { AUDIT_ENTRY } from './shapes.ts';
import type { Transport } from './transport.ts';

export interface ExportOptions {
  /** Id of the last entry that is known already. */
  after?: string | undefined;
  signal?: AbortSignal;
}

/** Time without data after which a connection counts as broken, ms. */
const SILENCE_MS = 60_000;

/** Yields all entries after `after`, oldest first, once each, over any number of broken connections. Throws ExecplaneError. */
export async function* exportAudit(transport: Transport, options: ExportOptions): AsyncGenerator<AuditEntryWire> {
  const { signal } = options;
  const outage = new Outage(undefined);
  let { after } = options;
  for (;;) {
    try {
      for await (const entry of entriesAfter(transport, after, signal)) {
        after = entry.audit_id;
        outage.dataReceived();
        yield entry;
      }
      return;
    } catch (error) {
      signal?.throwIfAborted();
      if (!isRetryable(error) || outage.isTooLong(error)) throw error;
    }
    await outage.pause(signal);
  }
}

async function* entriesAfter(
  transport: Transport,
  after: string | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<AuditEntryWire> {
  const response = await transport.open('GET', '/v1/audit/export', {
    query: { after },
    headers: { accept: 'application/x-ndjson' },
    attempts: 1,
    signal,
  });
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for await (const bytes of readChunks(response, SILENCE_MS)) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const entry = parseObject(line);
        if (entry === undefined || !hasShape(entry, AUDIT_ENTRY)) {
          throw new UnexpectedAnswerError(response, { origin: transport.origin });
        }
        yield entry;
      }
    }
    if (rest !== '') throw new ExecplaneError('the export ended within an entry');
  } catch (cause) {
    if (cause instanceof UnexpectedAnswerError) throw cause;
    throw new UnreachableError(transport.origin, { cause });
  }
}
