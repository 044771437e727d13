/**
 * Writes the number of bytes in its argument to stdout. Each block of 4 KiB begins with its number, so that a lost, repeated or moved block
 * changes the checksum.
 */
import { writeSync } from 'node:fs';

const BLOCK_BYTES = 4096;
const PIECE_BYTES = 1_048_576;

const total = Number(process.argv[2]);
const piece = Buffer.alloc(PIECE_BYTES, 'execplane ');
for (let written = 0; written < total; ) {
  for (let at = 0; at < PIECE_BYTES; at += BLOCK_BYTES) piece.writeDoubleBE((written + at) / BLOCK_BYTES, at);
  const size = Math.min(PIECE_BYTES, total - written);
  for (let at = 0; at < size; ) at += writeSync(1, piece, at, size - at);
  written += size;
}
