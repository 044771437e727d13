/**
 * Tickets for streams: a browser cannot set a header on a WebSocket. A ticket names an API key by its hash, sealed, so that every server
 * with the same secret key takes it; the store remembers those that were used, since each works once, within a minute.
 */
import { createHash } from 'node:crypto';
import type { Store } from '../../../store/store.ts';
import type { KeyRing, Principal } from './key-ring.ts';
import { seal, unseal } from './sealed-text.ts';

const VALID_MS = 60_000;
const HASH_BYTES = 32;
/** Hash of the key, end, terminal. */
const TERMINAL_AT = HASH_BYTES + 8;
/** The namespace of used tickets among the Idempotency-Keys. */
const USED_TICKETS = 'ticket';

export interface TerminalTickets {
  /** For the stream of one terminal. `expiresAt`: ms since the epoch. */
  issue(principal: Principal, terminalId: string): { ticket: string; expiresAt: number };
  /** Uses the ticket up. Returns the principal that it was issued to, if their key is still valid. Rejects with StoreUnavailableError. */
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
      // Of the bytes, not of the text: there are several texts of the same bytes.
      const digest = createHash('sha256').update(Buffer.from(ticket, 'base64url')).digest();
      const idempotency = { apiKeyId: USED_TICKETS, key: digest.toString('base64url'), digest, expiresAt };
      const used = await store.bindIdempotency({ idempotency, resource: terminalId, now: now() });
      if (used.outcome !== 'bound') return undefined;
      const principal = await keys.findHash(plain.subarray(0, HASH_BYTES));
      return principal !== undefined && (await keys.isValid(principal)) ? principal : undefined;
    },
  };
}
