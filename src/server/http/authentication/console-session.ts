/**
 * Sessions of the console: a sealed cookie with the hash of an API key. No server stores sessions, so every server with the same secret key
 * accepts them. The key is looked up at each request, so a session ends with its key.
 */
import type { FastifyRequest } from 'fastify';
import { CONSOLE_HEADER } from '../../../core/console-header.ts';
import { cookieName, cookieValue, setCookie } from './cookies.ts';
import { seal, unseal } from './sealed-text.ts';

/** Time after which an unused session ends, ms. */
export const SESSION_MS = 12 * 60 * 60 * 1000;
/** Time after which the user has to sign in again, ms. */
const MAX_SESSION_MS = 7 * 24 * 60 * 60 * 1000;

const COOKIE = 'execplane_session';
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
  /** Returns a new session of a key. */
  begin(keyHash: Buffer): ConsoleSession;
  /** Returns the session with a later end. `undefined` while half of its time is left, or if its end cannot be later. */
  renew(session: ConsoleSession): ConsoleSession | undefined;
  /** Returns the session of a request. `undefined` for none, an altered one, or an ended one. */
  read(request: FastifyRequest): ConsoleSession | undefined;
  /** Returns the Set-Cookie header that gives the session to the browser, or removes it (`undefined`). */
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
      const value = cookieValue(request, cookieName(request, COOKIE));
      const session = value === undefined ? undefined : decode(unseal(sealKey, value));
      return session !== undefined && now() < session.expiresAt ? session : undefined;
    },
    cookie(request, session) {
      const value = session === undefined ? '' : seal(sealKey, encode(session));
      const maxAgeMs = session === undefined ? 0 : session.expiresAt - now();
      return setCookie(request, { name: COOKIE, value, maxAgeMs, sameSite: 'Strict' });
    },
  };
}

/**
 * Whether a request comes from the console's own pages (or, if it changes nothing, from the address bar). Browsers state this in
 * Sec-Fetch-Site, over plain HTTP only in Origin. A request that may change something must also carry a header that other origins cannot
 * add.
 */
export function isFromConsole(request: FastifyRequest): boolean {
  const { 'sec-fetch-site': site, origin } = request.headers;
  const changesNothing = request.method === 'GET' || request.method === 'HEAD';
  if (!changesNothing && request.headers[CONSOLE_HEADER] === undefined) return false;
  if (site !== undefined) return site === 'same-origin' || (changesNothing && site === 'none');
  return origin === undefined ? changesNothing : hostOf(origin) === request.host;
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

function encode({ keyHash, signedInAt, expiresAt }: ConsoleSession): Buffer {
  const plain = Buffer.alloc(PLAIN_BYTES);
  keyHash.copy(plain);
  plain.writeDoubleBE(signedInAt, HASH_BYTES);
  plain.writeDoubleBE(expiresAt, HASH_BYTES + 8);
  return plain;
}

function decode(plain: Buffer | undefined): ConsoleSession | undefined {
  if (plain?.length !== PLAIN_BYTES) return undefined;
  return {
    keyHash: plain.subarray(0, HASH_BYTES),
    signedInAt: plain.readDoubleBE(HASH_BYTES),
    expiresAt: plain.readDoubleBE(HASH_BYTES + 8),
  };
}
