/** What the agent keeps to prove who it is: DIR/credential.json, and DIR/enrolment.json while it is not yet accepted. */
import { createHash, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { readPrivateJson, writePrivateJson } from '../../../node/private-file.ts';
import { isCredentialFile, isEnrolmentFile } from '../../schemas/checks.ts';
import type { CredentialFile, EnrolmentFile } from '../../schemas/files.ts';

export interface Credential {
  machineId: string;
  credential: string;
  /** SHA-256 of the join token it was enrolled with, so that the same token is not tried again once it is refused. */
  enrolledWith: string;
}

/** A credential on its way: written before the request, so that a lost reply is repeated and not a second machine. */
export interface Enrolment {
  credential: string;
  enrolledWith: string;
}

const credentialFile = (dir: string) => join(dir, 'credential.json');
const enrolmentFile = (dir: string) => join(dir, 'enrolment.json');

/** Digest under which a join token is remembered. */
export function tokenDigest(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** The credential of this directory, if it has one. Throws ConfigError if the file is damaged or open to other users. */
export function readCredential(dir: string): Credential | undefined {
  const file = readPrivateJson(credentialFile(dir), isCredentialFile);
  return file && { machineId: file.machine_id, credential: file.credential, enrolledWith: file.enrolled_with ?? '' };
}

/** Keeps an accepted credential; the pending one is done with. */
export function writeCredential(dir: string, accepted: Credential): void {
  const { machineId, credential, enrolledWith } = accepted;
  const file: CredentialFile = { machine_id: machineId, credential, enrolled_with: enrolledWith };
  writePrivateJson(credentialFile(dir), file);
  rmSync(enrolmentFile(dir), { force: true });
}

/** An enrolment that was asked for and never confirmed to us, whatever its token was. */
export function leftEnrolment(dir: string): Enrolment | undefined {
  const left = readPrivateJson(enrolmentFile(dir), isEnrolmentFile);
  return left && { credential: left.credential, enrolledWith: left.enrolled_with };
}

/** The pending enrolment with this token: the one that an earlier start left, or a fresh one, on disk either way. */
export function pendingEnrolment(dir: string, token: string): Enrolment {
  const enrolledWith = tokenDigest(token);
  const left = leftEnrolment(dir);
  if (left?.enrolledWith === enrolledWith) return left;
  const credential = `xpa_${randomBytes(32).toString('base64url')}`;
  writePrivateJson(enrolmentFile(dir), { credential, enrolled_with: enrolledWith } satisfies EnrolmentFile);
  return { credential, enrolledWith };
}
