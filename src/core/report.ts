/**
 * Reports of agents about executions. One report is one record: the same bytes in the runner's journal, on the socket between runner and
 * link, and in the binary messages of the link (docs/PROTOCOL.md, "Records").
 */
import { crc32 } from 'node:zlib';
import type { FailureCode } from './execution.ts';

/** Kinds of records that travel to the server. Kinds from 64 on are the journal's own and never leave the machine. */
export const REPORT_KIND = {
  started: 1,
  stdout: 2,
  stderr: 3,
  ended: 4,
  progress: 5,
  artifact: 6,
  artifact_data: 7,
  artifact_end: 8,
  stdout_tail: 9,
  stderr_tail: 10,
} as const;
export type ReportKind = keyof typeof REPORT_KIND;

/** Bytes of a record before its execution id. */
export const RECORD_HEADER_BYTES = 24;
/** The largest chunk of output in one record (design.md: "at most 64 KiB"). */
export const MAX_CHUNK_BYTES = 65_536;
/** The largest record: header, the longest execution id, the largest payload. */
export const MAX_RECORD_BYTES = RECORD_HEADER_BYTES + 253 + MAX_CHUNK_BYTES;

/** A decoded record: `kind` is the number on the wire. */
export interface RawRecord {
  kind: number;
  executionId: string;
  /** Rises by 1 per execution from 1; 0 for records that are the journal's own. */
  number: number;
  /** Time of the event: ms since the epoch by the runner's clock, which never goes back. */
  at: number;
  payload: Buffer;
}

/**
 * Stands for output reports whose bytes a reader has taken and released before they were stored: only how far they go is written. The server
 * makes it; it never travels.
 */
export interface PassedOutput {
  executionId: string;
  /** The first and the last of the reports. */
  first: number;
  number: number;
  /** Of each stream, after them: the bytes that have come, and those that were released. */
  upTo: Readonly<Record<'stdout' | 'stderr', number>>;
  released: Readonly<Record<'stdout' | 'stderr', number>>;
}

/** A report to be stored, or the place of reports that need not be. */
export type StoredReport = RawRecord | PassedOutput;

/** Whether it stands for reports that need not be stored. */
export function isPassed(report: StoredReport): report is PassedOutput {
  return 'first' in report;
}

/** Resource usage of all processes of a command together. */
export interface UsagePayload {
  cpu_user_ms: number;
  cpu_system_ms: number;
  max_memory_bytes: number;
  io_read_bytes?: number;
  io_write_bytes?: number;
}

/** The payload of `ended` (JSON): the outcome of the command, and the bytes that it produced. */
export interface EndedPayload {
  status: 'succeeded' | 'failed' | 'cancelled';
  exit_code?: number;
  signal?: number;
  /** `timeout`: the command was killed because its `timeout_ms` ran out. The server ends it as `execution_timed_out`. */
  error_code?: FailureCode | 'timeout';
  error_message?: string;
  stdout_bytes: number;
  stderr_bytes: number;
  stdout_truncated: boolean;
  stderr_truncated: boolean;
  usage?: UsagePayload;
}

/** The payload of `progress` (JSON): bytes produced so far, sent from time to time once output is no longer kept. */
export interface ProgressPayload {
  stdout_bytes: number;
  stderr_bytes: number;
}

/** The payload of `artifact` (JSON): the file whose bytes are the `artifact_data` reports up to its `artifact_end`. */
export interface ArtifactPayload {
  name: string;
}

/**
 * The payload of `artifact_end` (JSON): the checksum (hexadecimal) of a complete file, or the reason why it is incomplete or was not
 * begun.
 */
export interface ArtifactEndPayload {
  name: string;
  sha256?: string;
  reason?: string;
}

/** Encodes one record into a new buffer. Throws RangeError if a part does not fit its field. */
export function encodeRecord(record: RawRecord): Buffer {
  const idBytes = record.executionId.length;
  if (idBytes < 1 || idBytes > 253) throw new RangeError(`execution id of ${idBytes} bytes`);
  if (record.payload.length > MAX_CHUNK_BYTES) throw new RangeError(`payload of ${record.payload.length} bytes`);
  const bytes = Buffer.allocUnsafe(RECORD_HEADER_BYTES + idBytes + record.payload.length);
  bytes.writeUInt32LE(bytes.length - 8, 0);
  bytes.writeUInt8(record.kind, 8);
  bytes.writeUInt8(idBytes, 9);
  bytes.writeUInt16LE(0, 10);
  bytes.writeUInt32LE(record.number, 12);
  bytes.writeDoubleLE(record.at, 16);
  bytes.write(record.executionId, RECORD_HEADER_BYTES, 'latin1');
  bytes.set(record.payload, RECORD_HEADER_BYTES + idBytes);
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4);
  return bytes;
}

export type DecodedRecord =
  | { ok: true; record: RawRecord; bytes: number }
  /** `incomplete`: more bytes may follow; `corrupt`: the bytes here are not a record. */
  | { ok: false; reason: 'incomplete' | 'corrupt' };

/** Decodes the record at `offset`. Its payload is a view into `bytes`, not a copy. */
export function decodeRecord(bytes: Buffer, offset: number): DecodedRecord {
  const left = bytes.length - offset;
  if (left < 8) return { ok: false, reason: 'incomplete' };
  const size = bytes.readUInt32LE(offset) + 8;
  if (size < RECORD_HEADER_BYTES + 1 || size > MAX_RECORD_BYTES) return { ok: false, reason: 'corrupt' };
  if (left < size) return { ok: false, reason: 'incomplete' };
  const end = offset + size;
  if (crc32(bytes.subarray(offset + 8, end)) !== bytes.readUInt32LE(offset + 4))
    return { ok: false, reason: 'corrupt' };
  const payloadAt = offset + RECORD_HEADER_BYTES + bytes.readUInt8(offset + 9);
  if (payloadAt > end || end - payloadAt > MAX_CHUNK_BYTES) return { ok: false, reason: 'corrupt' };
  const record: RawRecord = {
    kind: bytes.readUInt8(offset + 8),
    executionId: bytes.toString('latin1', offset + RECORD_HEADER_BYTES, payloadAt),
    number: bytes.readUInt32LE(offset + 12),
    at: bytes.readDoubleLE(offset + 16),
    payload: bytes.subarray(payloadAt, end),
  };
  return { ok: true, record, bytes: size };
}

/** Kinds from here on are the journal's own and never leave the machine. Unknown kinds below it come from a newer agent. */
const FIRST_LOCAL_KIND = 64;

export type DecodedRecords = { ok: true; records: RawRecord[] } | { ok: false; reason: string };

/** Decodes the records of a message; their payloads are views into it. A message with anything else in it is refused as a whole. */
export function decodeRecords(message: Buffer): DecodedRecords {
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

/** Size of a report in memory, without what the runtime adds. */
export function sizeOf(report: StoredReport): number {
  return RECORD_HEADER_BYTES + report.executionId.length + (isPassed(report) ? 0 : report.payload.length);
}
