/** A binary message of an agent, taken apart: whole records and nothing else. What they say, the store reads. */
import { decodeRecord, type RawRecord } from '../../../core/report.ts';

/** Kinds from here on are the journal's own and never leave the machine; those below that we do not know are a newer agent's. */
const FIRST_LOCAL_KIND = 64;

export type Taken = { ok: true; records: RawRecord[] } | { ok: false; reason: string };

/** The records of a message; their payloads are views into it. A message with anything else in it is refused as a whole. */
export function takeRecords(message: Buffer): Taken {
  const records: RawRecord[] = [];
  for (let offset = 0; offset < message.length; ) {
    const decoded = decodeRecord(message, offset);
    if (!decoded.ok) return { ok: false, reason: `a record that is ${decoded.reason}` };
    const { kind, number } = decoded.record;
    if (kind < 1 || kind >= FIRST_LOCAL_KIND || number < 1) {
      return { ok: false, reason: `a record of kind ${kind} under number ${number}` };
    }
    records.push(decoded.record);
    offset += decoded.bytes;
  }
  return records.length > 0 ? { ok: true, records } : { ok: false, reason: 'an empty message' };
}
