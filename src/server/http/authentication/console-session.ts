/**
 * Sessions of the console: a sealed cookie that names an API key by its hash. The server keeps none of them, so that every server
 * with the same secret key takes them; the key behind a session is looked up at each request, so that a session ends with its key.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { CONSOLE_HEADER } from '../../../api/console-header.ts';

/** A session that is not used ends after this time. */
export const SESSION_MS = 12 * 60 * 60 * 1000;
/** Signing in is asked for again after this time, however much a session is used. */
const MAX_SESSION_MS = 7 * 24 * 60 * 60 * 1000;

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HASH_BYTES = 32;
const PLAIN_BYTES = HASH_BYTES + 16;

/** Times in ms since the epoch. */
export interface ConsoleSession {
  /** SHA-256 of the API key, as the store keeps it. */
  keyHash: Buffer;
  signedInAt: number;
  expiresAt: number;
}

export interface ConsoleSessions {
  /** A session of this key from now on. */
  begin(keyHash: Buffer): ConsoleSession;
  /** The same session with a later end; `undefined` while half of its time is left, or no more is given. */
  renew(session: ConsoleSession): ConsoleSession | undefined;
  /** The session of a request; `undefined` for none, an altered, or an ended one. */
  read(request: FastifyRequest): ConsoleSession | undefined;
  /** The Set-Cookie header that gives the session to the browser, or with `undefined` takes it away. */
  cookie(request: FastifyRequest, session: ConsoleSession | undefined): string;
}

/** `sealKey`: 32 bytes; `now`: ms since the epoch. */
export function createConsoleSessions({ sealKey, now }: { sealKey: Buffer; now: () => number }): ConsoleSessions {
  return {
    begin: (keyHash) => ({ keyHash, signedInAt: now(), expiresAt: now() + SESSION_MS }),
    renew(session) {
      if (session.expiresAt - now() > SESSION_MS / 2) return undefined;
      const expiresAt = Math.min(now() + SESSION_MS, session.signedInAt + MAX_SESSION_MS);
      return expiresAt > session.expiresAt ? { ...session, expiresAt } : undefined;
    },
    read(request) {
      const value = cookieValue(request.headers.cookie, cookieName(request));
      const session = value === undefined ? undefined : open(sealKey, value);
      return session !== undefined && now() < session.expiresAt ? session : undefined;
    },
    cookie(request, session) {
      const secure = request.protocol === 'https' ? '; Secure' : '';
      const attributes = `Path=/; HttpOnly; SameSite=Strict${secure}`;
      if (session === undefined) return `${cookieName(request)}=; Max-Age=0; ${attributes}`;
      const maxAge = Math.max(0, Math.floor((session.expiresAt - now()) / 1000));
      return `${cookieName(request)}=${seal(sealKey, session)}; Max-Age=${maxAge}; ${attributes}`;
    },
  };
}

/**
 * Whether a request comes from the console's own pages (or, where it changes nothing, from the address bar). Browsers say so in
 * Sec-Fetch-Site, over plain HTTP only in Origin; what may change something must also carry a header that other origins cannot add.
 */
export function isFromConsole(request: FastifyRequest): boolean {
  const { 'sec-fetch-site': site, origin } = request.headers;
  const changesNothing = request.method === 'GET' || request.method === 'HEAD';
  if (!changesNothing && request.headers[CONSOLE_HEADER] === undefined) return false;
  if (site !== undefined) return site === 'same-origin' || (changesNothing && site === 'none');
  return origin === undefined ? changesNothing : hostOf(origin) === request.host;
}

/** The `__Host-` prefix keeps other hosts and plain HTTP from setting it; browsers take it with Secure only. */
function cookieName({ protocol }: FastifyRequest): string {
  return protocol === 'https' ? '__Host-execplane_session' : 'execplane_session';
}

function cookieValue(header: string | undefined, name: string): string | undefined {
  const start = `${name}=`;
  return header
    ?.split(/; */)
    .find((pair) => pair.startsWith(start))
    ?.slice(start.length);
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

function seal(key: Buffer, { keyHash, signedInAt, expiresAt }: ConsoleSession): string {
  const plain = Buffer.alloc(PLAIN_BYTES);
  keyHash.copy(plain);
  plain.writeDoubleBE(signedInAt, HASH_BYTES);
  plain.writeDoubleBE(expiresAt, HASH_BYTES + 8);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce);
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64url');
}

function open(key: Buffer, value: string): ConsoleSession | undefined {
  const sealed = Buffer.from(value, 'base64url');
  if (sealed.length !== NONCE_BYTES + TAG_BYTES + PLAIN_BYTES) return undefined;
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  try {
    const plain = Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
    return {
      keyHash: plain.subarray(0, HASH_BYTES),
      signedInAt: plain.readDoubleBE(HASH_BYTES),
      expiresAt: plain.readDoubleBE(HASH_BYTES + 8),
    };
  } catch {
    // Altered, or sealed by a server with another key.
    return undefined;
  }
}
