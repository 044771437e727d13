/** The files that prove the identity of an agent: DIR/credential.json, and DIR/enrolment.json until the server accepts it. */
import { createHash, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { readPrivateJson, writePrivateJson } from '../../../node/private-file.ts';
import { isCredentialFile, isEnrolmentFile } from '../../schemas/checks.ts';
import type { CredentialFile, EnrolmentFile } from '../../schemas/files.ts';

export interface Credential {
  machineId: string;
  credential: string;
  /** SHA-256 of the join token it was enrolled with, so that the same token is not tried again after a refusal. */
  enrolledWith: string;
}

/**
 * A credential that the server has not confirmed. It is written before the request, so that a lost reply leads to a repeated request and
 * not to a second machine.
 */
export interface Enrolment {
  credential: string;
  enrolledWith: string;
}

const credentialFile = (dir: string) => join(dir, 'credential.json');
const enrolmentFile = (dir: string) => join(dir, 'enrolment.json');

/** Returns the digest by which a used join token is recognised. */
export function tokenDigest(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** Returns the credential of this directory, if there is one. Throws ConfigError if the file is damaged or open to other users. */
export function readCredential(dir: string): Credential | undefined {
  const file = readPrivateJson(credentialFile(dir), isCredentialFile);
  return file && { machineId: file.machine_id, credential: file.credential, enrolledWith: file.enrolled_with ?? '' };
}

/** Stores an accepted credential, and removes the pending one. */
export function writeCredential(dir: string, accepted: Credential): void {
  const { machineId, credential, enrolledWith } = accepted;
  const file: CredentialFile = { machine_id: machineId, credential, enrolled_with: enrolledWith };
  writePrivateJson(credentialFile(dir), file);
  rmSync(enrolmentFile(dir), { force: true });
}

/** Returns an enrolment that was requested and never confirmed, with any token. */
export function leftEnrolment(dir: string): Enrolment | undefined {
  const left = readPrivateJson(enrolmentFile(dir), isEnrolmentFile);
  return left && { credential: left.credential, enrolledWith: left.enrolled_with };
}

/** Returns the pending enrolment with this token: that of an earlier start, or a new one. Both are on disk. */
export function pendingEnrolment(dir: string, token: string): Enrolment {
  const enrolledWith = tokenDigest(token);
  const left = leftEnrolment(dir);
  if (left?.enrolledWith === enrolledWith) return left;
  const credential = `xpa_${randomBytes(32).toString('base64url')}`;
  writePrivateJson(enrolmentFile(dir), { credential, enrolled_with: enrolledWith } satisfies EnrolmentFile);
  return { credential, enrolledWith };
}
