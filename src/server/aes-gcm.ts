/** Authenticated encryption (AES-256-GCM) of bytes: a random nonce, the tag, then the encrypted bytes. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Encrypts the concatenated parts under `key` (32 bytes). `prefix` precedes the result in clear text and is not authenticated. */
export function sealBytes(key: Buffer, parts: readonly Buffer[], prefix = Buffer.alloc(0)): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce);
  const body = [...parts.map((part) => cipher.update(part)), cipher.final()];
  return Buffer.concat([prefix, nonce, cipher.getAuthTag(), ...body]);
}

/** Decrypts a result of `sealBytes`, given without its prefix. Throws if it was altered, cut, or encrypted under another key. */
export function openBytes(key: Buffer, sealed: Buffer): Buffer {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) throw new Error('sealed bytes that are too short');
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
}
