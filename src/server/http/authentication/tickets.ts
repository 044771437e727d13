/** Tickets for streams: a browser cannot set a header on a WebSocket. Each works once, within a minute, and is stored as a hash. */
import { createHash, randomBytes } from 'node:crypto';
import type { Principal } from './key-ring.ts';

const VALID_MS = 60_000;
const MAX_TICKETS = 10_000;

interface Ticket {
  principal: Principal;
  terminalId: string;
  expiresAt: number;
}

export class TerminalTickets {
  readonly #now: () => number;
  readonly #tickets = new Map<string, Ticket>();

  constructor(now: () => number) {
    this.#now = now;
  }

  issue(principal: Principal, terminalId: string): { ticket: string; expiresAt: number } {
    for (const [hash, { expiresAt }] of this.#tickets) {
      if (expiresAt > this.#now() && this.#tickets.size < MAX_TICKETS) break;
      this.#tickets.delete(hash);
    }
    const ticket = randomBytes(32).toString('base64url');
    const expiresAt = this.#now() + VALID_MS;
    this.#tickets.set(hashOf(ticket), { principal, terminalId, expiresAt });
    return { ticket, expiresAt };
  }

  /** Returns the owner of the ticket, which is used up by that. */
  redeem(ticket: string, terminalId: string): Principal | undefined {
    const hash = hashOf(ticket);
    const found = this.#tickets.get(hash);
    this.#tickets.delete(hash);
    return found !== undefined && found.terminalId === terminalId && found.expiresAt > this.#now()
      ? found.principal
      : undefined;
  }
}

function hashOf(ticket: string): string {
  return createHash('sha256').update(ticket).digest('base64');
}
