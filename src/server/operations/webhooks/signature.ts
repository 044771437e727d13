/** Signs according to the Standard Webhooks specification (symmetric, version 1). */
import { createHmac, randomBytes } from 'node:crypto';

const PREFIX = 'whsec_';

/** Returns a new signing secret: `whsec_` and 32 random bytes in base64. */
export function freshSecret(): string {
  return PREFIX + randomBytes(32).toString('base64');
}

/** Returns the headers of a delivery. `id`: the same for every attempt. `at`: time of the attempt, ms since the epoch. */
export function signedHeaders(secret: string, p: { id: string; at: number; body: string }): Record<string, string> {
  const key = Buffer.from(secret.slice(secret.startsWith(PREFIX) ? PREFIX.length : 0), 'base64');
  const timestamp = String(Math.floor(p.at / 1000));
  const signature = createHmac('sha256', key).update(`${p.id}.${timestamp}.${p.body}`).digest('base64');
  return { 'webhook-id': p.id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}
