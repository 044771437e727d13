/** Authenticated encryption (AES-256-GCM) of bytes: a random nonce, the tag, then the encrypted bytes. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { atOnce } from './turns.ts';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Bytes that are encrypted in one step. */
const STEP_BYTES = 1_048_576;

/** Encrypts the concatenated parts under `key` (32 bytes). `prefix` precedes the result in clear text and is not authenticated. */
export function sealBytes(key: Buffer, parts: readonly Buffer[], prefix = Buffer.alloc(0)): Buffer {
  return atOnce(sealBytesInSteps(key, parts, prefix));
}

/** The same in steps of 1 MiB. */
export function* sealBytesInSteps(key: Buffer, parts: readonly Buffer[], prefix: Buffer): Generator<void, Buffer> {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce);
  const tagAt = prefix.length + NONCE_BYTES;
  const sealed = Buffer.allocUnsafe(tagAt + TAG_BYTES + parts.reduce((sum, { length }) => sum + length, 0));
  prefix.copy(sealed);
  nonce.copy(sealed, prefix.length);
  let end = tagAt + TAG_BYTES;
  for (const part of parts) {
    for (let at = 0; at < part.length; at += STEP_BYTES) {
      if (at > 0) yield;
      end += cipher.update(part.subarray(at, at + STEP_BYTES)).copy(sealed, end);
    }
  }
  cipher.final();
  cipher.getAuthTag().copy(sealed, tagAt);
  return sealed;
}

/** Decrypts a result of `sealBytes`, given without its prefix. Throws if it was altered, cut, or encrypted under another key. */
export function openBytes(key: Buffer, sealed: Buffer): Buffer {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) throw new Error('sealed bytes that are too short');
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
}
