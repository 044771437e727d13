import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeRecord,
  encodeRecord,
  MAX_CHUNK_BYTES,
  MAX_RECORD_BYTES,
  type RawRecord,
  RECORD_HEADER_BYTES,
} from '../../src/core/report.ts';

const ALPHABET = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-'];
const record: fc.Arbitrary<RawRecord> = fc.record({
  kind: fc.integer({ min: 1, max: 255 }),
  executionId: fc.string({ unit: fc.constantFrom(...ALPHABET), minLength: 1, maxLength: 253 }),
  number: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  at: fc.double({ min: 0, max: 1e13, noNaN: true }),
  payload: fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes)),
});

describe('a record', () => {
  test('is decoded unchanged, at any place among others', () => {
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 8 }), (records) => {
        const bytes = Buffer.concat(records.map(encodeRecord));
        let offset = 0;
        for (const one of records) {
          const decoded = decodeRecord(bytes, offset);
          if (!decoded.ok) return expect.fail(decoded.reason);
          expect(decoded.record).toEqual(one);
          offset += decoded.bytes;
        }
        expect(offset).toBe(bytes.length);
      }),
    );
  });

  test('that is cut short is incomplete, never another record', () => {
    fc.assert(
      fc.property(record, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (one, part) => {
        const bytes = encodeRecord(one);
        expect(decodeRecord(bytes.subarray(0, Math.floor(bytes.length * part)), 0)).toEqual({
          ok: false,
          reason: 'incomplete',
        });
      }),
    );
  });

  test('is refused with any single bit flipped', () => {
    fc.assert(
      fc.property(record, fc.nat(), fc.nat(7), (one, at, bit) => {
        const bytes = encodeRecord(one);
        const index = at % bytes.length;
        bytes.writeUInt8(bytes.readUInt8(index) ^ (1 << bit), index);
        expect(decodeRecord(bytes, 0).ok).toBe(false);
      }),
    );
  });

  test('has the layout of docs/PROTOCOL.md', () => {
    const bytes = encodeRecord({ kind: 2, executionId: 'ex-7', number: 258, at: 1.5, payload: Buffer.from('hi') });
    expect(bytes.length).toBe(24 + 4 + 2);
    expect(bytes.readUInt32LE(0)).toBe(bytes.length - 8);
    expect(bytes.readUInt32LE(4)).toBe(crc32(bytes.subarray(8)));
    expect([...bytes.subarray(8, 12)]).toEqual([2, 4, 0, 0]);
    expect(bytes.readUInt32LE(12)).toBe(258);
    expect(bytes.readDoubleLE(16)).toBe(1.5);
    expect(bytes.toString('latin1', 24)).toBe('ex-7hi');
  });

  test('has a maximum size', () => {
    const one = { kind: 2, executionId: 'e'.repeat(253), number: 1, at: 0, payload: Buffer.alloc(MAX_CHUNK_BYTES) };
    expect(encodeRecord(one).length).toBe(MAX_RECORD_BYTES);
    expect(() => encodeRecord({ ...one, payload: Buffer.alloc(MAX_CHUNK_BYTES + 1) })).toThrow(RangeError);
    expect(() => encodeRecord({ ...one, executionId: '' })).toThrow(RangeError);
    expect(() => encodeRecord({ ...one, executionId: 'e'.repeat(254) })).toThrow(RangeError);
    const large = Buffer.alloc(RECORD_HEADER_BYTES);
    large.writeUInt32LE(MAX_RECORD_BYTES, 0);
    expect(decodeRecord(large, 0)).toEqual({ ok: false, reason: 'corrupt' });
  });
});
