/**
 * Tickets for streams, because a browser cannot set a header on a WebSocket. A ticket is the sealed hash of an API key, so that every server
 * with the same secret key accepts it. It works once, within a minute; the store records the used tickets.
 */
import { createHash } from 'node:crypto';
import type { Store } from '../../../store/store.ts';
import type { KeyRing, Principal } from './key-ring.ts';
import { seal, unseal } from './sealed-text.ts';

const VALID_MS = 60_000;
const HASH_BYTES = 32;
/** Offset of the terminal's id in a ticket, after the hash of the key and the time of its end. */
const TERMINAL_AT = HASH_BYTES + 8;
/** The namespace of used tickets among the Idempotency-Keys. */
const USED_TICKETS = 'ticket';

export interface TerminalTickets {
  /** Returns a ticket for the stream of one terminal. `expiresAt`: ms since the epoch. */
  issue(principal: Principal, terminalId: string): { ticket: string; expiresAt: number };
  /** Uses up a ticket. Returns the principal that it was issued to, if the key is still valid. Rejects with StoreUnavailableError. */
  redeem(ticket: string, terminalId: string): Promise<Principal | undefined>;
}

export interface TerminalTicketsDeps {
  store: Pick<Store, 'bindIdempotency'>;
  keys: Pick<KeyRing, 'findHash' | 'isValid'>;
  /** 32 bytes. */
  sealKey: Buffer;
  /** ms since the epoch. */
  now: () => number;
}

export function createTerminalTickets({ store, keys, sealKey, now }: TerminalTicketsDeps): TerminalTickets {
  return {
    issue({ keyHash }, terminalId) {
      const expiresAt = now() + VALID_MS;
      const head = Buffer.alloc(TERMINAL_AT);
      keyHash.copy(head);
      head.writeDoubleBE(expiresAt, HASH_BYTES);
      return { ticket: seal(sealKey, Buffer.concat([head, Buffer.from(terminalId)])), expiresAt };
    },
    async redeem(ticket, terminalId) {
      const plain = unseal(sealKey, ticket);
      if (plain?.toString('utf8', TERMINAL_AT) !== terminalId) return undefined;
      const expiresAt = plain.readDoubleBE(HASH_BYTES);
      if (expiresAt <= now()) return undefined;
      // The digest is of the bytes, because several texts decode to the same bytes.
      const digest = createHash('sha256').update(Buffer.from(ticket, 'base64url')).digest();
      const idempotency = { apiKeyId: USED_TICKETS, key: digest.toString('base64url'), digest, expiresAt };
      const used = await store.bindIdempotency({ idempotency, resource: terminalId, now: now() });
      if (used.outcome !== 'bound') return undefined;
      const principal = await keys.findHash(plain.subarray(0, HASH_BYTES));
      return principal !== undefined && (await keys.isValid(principal)) ? principal : undefined;
    },
  };
}
