/** The secret that signs callbacks, of one server or of several that share a database. */
import type { Store } from '../../../store/store.ts';
import type { Sealer, ServerKeys } from '../../seal.ts';
import { readWebhookSecret } from './webhooks.ts';

/** Sealed like the input of an execution, under an id that no execution has. */
const SEALED_AS = 'shared secrets';
const NAME = 'webhook_secret';

/** Stores the secret of the server that a database came from, so that receivers can still verify with it. */
export function sealWebhookSecret(sealer: Sealer, webhookSecret: string): Buffer | undefined {
  return sealer.seal(SEALED_AS, { env: { [NAME]: webhookSecret }, stdin: Buffer.alloc(0) });
}

/** Returns the secret of the data directory; with a shared database, the one that came with it, else one derived from the secret key. */
export async function webhookSecretOf(p: {
  store: Pick<Store, 'cluster'>;
  dataDir: string;
  keys: Pick<ServerKeys, 'sealer' | 'webhookSecret'>;
}): Promise<string> {
  const { cluster } = p.store;
  if (cluster === undefined) return readWebhookSecret(p.dataDir);
  const { sealer, webhookSecret } = p.keys;
  return sealer.open(SEALED_AS, await cluster.sealedSecrets()).env[NAME] ?? webhookSecret;
}
