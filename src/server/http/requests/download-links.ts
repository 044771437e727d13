/** Links to the bytes of an artifact that work without a key for some time, because they are signed by the server. */
import { timingSafeEqual } from 'node:crypto';
import type { Digest } from '../../seal.ts';

const VALID_MS = 15 * 60 * 1000;

export interface DownloadLinks {
  /** `base`: URL by which clients reach the server. */
  make(base: string, artifactId: string): string;
  /** Whether the signature was made by this server for this artifact, and is still valid. */
  isValid(artifactId: string, expires: string | undefined, signature: string | undefined): boolean;
}

/** `now`: ms since the epoch. */
export function createDownloadLinks(digest: Digest, now: () => number): DownloadLinks {
  const sign = (artifactId: string, expires: string): Buffer => digest(artifactId, expires);
  return {
    make(base, artifactId) {
      const expires = String(Math.floor((now() + VALID_MS) / 1000));
      const signature = sign(artifactId, expires).toString('base64url');
      return `${base}/downloads/${artifactId}?expires=${expires}&signature=${signature}`;
    },
    isValid(artifactId, expires = '', signature = '') {
      const received = Buffer.from(signature, 'base64url');
      const right = sign(artifactId, expires);
      return received.length === right.length && timingSafeEqual(received, right) && Number(expires) * 1000 > now();
    },
  };
}
