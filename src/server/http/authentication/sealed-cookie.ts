/** Cookies that only this server (and those with the same secret key) can make and read: AES-256-GCM. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { FastifyRequest } from 'fastify';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Seals `plain` under `key` (32 bytes) as base64url. */
export function seal(key: Buffer, plain: Buffer): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce);
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64url');
}

/** Opens a sealed text. `undefined` if it was altered, cut, or sealed under another key. */
export function unseal(key: Buffer, value: string): Buffer | undefined {
  const sealed = Buffer.from(value, 'base64url');
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** Returns the value of a cookie of this request. */
export function cookieValue({ headers }: FastifyRequest, name: string): string | undefined {
  const start = `${name}=`;
  return headers.cookie
    ?.split(/; */)
    .find((pair) => pair.startsWith(start))
    ?.slice(start.length);
}

/** The `__Host-` prefix keeps other hosts and plain HTTP from setting a cookie; browsers accept it only with Secure. */
export function cookieName({ protocol }: FastifyRequest, name: string): string {
  return protocol === 'https' ? `__Host-${name}` : name;
}

/** Returns a Set-Cookie header for a cookie that scripts cannot read. `maxAgeMs` 0 removes the cookie. */
export function setCookie(
  request: FastifyRequest,
  p: { name: string; value: string; maxAgeMs: number; sameSite: 'Strict' | 'Lax' },
): string {
  const secure = request.protocol === 'https' ? '; Secure' : '';
  const maxAge = Math.max(0, Math.ceil(p.maxAgeMs / 1000));
  const name = cookieName(request, p.name);
  return `${name}=${p.value}; Max-Age=${maxAge}; Path=/; HttpOnly; SameSite=${p.sameSite}${secure}`;
}
