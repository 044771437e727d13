/** The secret that signs callbacks: of one server, or of all servers that share a database. */
import type { Store } from '../../../store/store.ts';
import type { Sealer, ServerKeys } from '../../seal.ts';
import { readWebhookSecret } from './webhooks.ts';

/** Sealed like the input of an execution, under an id that no execution has. */
const SEALED_AS = 'shared secrets';
const NAME = 'webhook_secret';

/** Seals the secret of a server whose data is moved, so that receivers can verify with it as before. */
export function sealWebhookSecret(sealer: Sealer, webhookSecret: string): Buffer | undefined {
  return sealer.seal(SEALED_AS, { env: { [NAME]: webhookSecret }, stdin: Buffer.alloc(0) });
}

/** Returns the secret: of the data directory, or of the shared database; there by default derived from the secret key. */
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
