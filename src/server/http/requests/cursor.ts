/** Cursors: the start of a page, bound to one list of one server. Foreign or altered cursors are refused. */
import { timingSafeEqual } from 'node:crypto';
import { invalid } from '../replies/problem.ts';
import type { Digest } from '../../seal.ts';

const MAC_BYTES = 8;
const CURSOR_BYTES = 8 + MAC_BYTES;

export interface Cursors {
  /** `list` names the list and its filters; `position` belongs to the store. */
  encode(list: string, position: number): string;
  /** Returns the position; `undefined` without a cursor. Throws a 422 for a cursor that `encode` did not make for this list. */
  decode(list: string, cursor: string | undefined): number | undefined;
}

/** Creates cursors that are signed with `digest`. */
export function createCursors(digest: Digest): Cursors {
  const encode = (list: string, position: number): string => {
    const bytes = Buffer.alloc(CURSOR_BYTES);
    bytes.writeDoubleBE(position, 0);
    digest(list, bytes.subarray(0, 8)).copy(bytes, 8, 0, MAC_BYTES);
    return bytes.toString('base64url');
  };
  return {
    encode,
    decode: (list, cursor) => {
      if (cursor === undefined) return undefined;
      const bytes = Buffer.from(cursor, 'base64url');
      if (bytes.length === CURSOR_BYTES) {
        const position = bytes.readDoubleBE(0);
        // Compared as text: other spellings of the same bytes are not valid cursors.
        const made = Buffer.from(encode(list, position));
        const received = Buffer.from(cursor);
        if (made.length === received.length && timingSafeEqual(made, received)) return position;
      }
      throw invalid([
        {
          location: 'query.cursor',
          message: 'is not a cursor of this list',
          value: cursor.slice(0, 64).toWellFormed(),
        },
      ]);
    },
  };
}
