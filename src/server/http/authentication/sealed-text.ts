/** Seals texts for cookies and URLs. Only servers with the same secret key can make and read them. */
import { openBytes, sealBytes } from '../../aes-gcm.ts';

/** Seals `plain` under `key` (32 bytes) as base64url. */
export function seal(key: Buffer, plain: Buffer): string {
  return sealBytes(key, [plain]).toString('base64url');
}

/** Opens a sealed text. `undefined` if it was altered, cut, or sealed under another key. */
export function unseal(key: Buffer, value: string): Buffer | undefined {
  try {
    return openBytes(key, Buffer.from(value, 'base64url'));
  } catch {
    return undefined;
  }
}
