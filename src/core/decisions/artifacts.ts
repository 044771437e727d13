/** Decides on an agent's reports about artifacts: each artifact is kept whole or not at all, within the limits. */
import { isArtifactName, MAX_ARTIFACTS } from '../artifact.ts';
import type { ExecutionDraft } from './execution-draft.ts';

/** The server's limits and times for artifacts. */
export interface ArtifactTerms {
  now: number;
  /** Limit for each artifact. */
  maxBytes: number;
  /** Bytes left of the quota of all artifacts. */
  roomBytes: number;
  /** ms since the epoch. */
  expiresAt: number;
}

/** A write for an artifact. Writes are made in order. */
export type ArtifactStep =
  | { type: 'begin'; artifactId: string; name: string; at: number; expiresAt: number }
  | { type: 'piece'; artifactId: string; position: number; bytes: Buffer }
  | { type: 'store'; artifactId: string; sha256: string; at: number }
  | { type: 'drop'; artifactId: string };

/** Begins an artifact, and drops one that was not ended. `number`: the number of the report, which is part of the artifact's id. */
export function beginArtifact(draft: ExecutionDraft, p: { name: string; number: number; terms: ArtifactTerms }): void {
  draft.closeArtifact();
  const { name, number, terms } = p;
  const entries = draft.execution.artifacts ?? [];
  if (!isArtifactName(name) || entries.length >= MAX_ARTIFACTS || entries.some((entry) => entry.name === name)) return;
  draft.openArtifact({ artifactId: `art-${draft.execution.executionId}-${number}`, name, bytes: 0 }, terms);
}

/** Adds bytes to the open artifact, or drops it with a remark in the log if it exceeds a limit. */
export function addToArtifact(draft: ExecutionDraft, bytes: Buffer, p: { at: number; terms: ArtifactTerms }): void {
  const open = draft.artifact;
  if (open === undefined || bytes.length === 0) return;
  const size = open.bytes + bytes.length;
  if (size > p.terms.maxBytes) refuse(draft, `it is larger than ${p.terms.maxBytes} bytes`, p.at);
  else if (draft.pieceBytes + bytes.length > p.terms.roomBytes)
    refuse(draft, 'there is no room for more artifacts', p.at);
  else draft.addPiece(bytes);
}

/** Ends the open artifact: stores it if its checksum was reported, otherwise drops it and logs the reason. */
export function endArtifact(
  draft: ExecutionDraft,
  p: { name: string; sha256: string | undefined; reason: string | undefined; at: number; now: number },
): void {
  const open = draft.artifact;
  if (open !== undefined && p.sha256 !== undefined && /^[0-9a-f]{64}$/.test(p.sha256))
    draft.storeArtifact(p.sha256, p.now);
  else if (open !== undefined) refuse(draft, p.reason ?? 'its end was not reported', p.at);
  else if (p.reason !== undefined) logRefusal(draft, { name: p.name, reason: p.reason, at: p.at });
}

/** Deletes an artifact from the list of its execution. */
export function removeArtifact(draft: ExecutionDraft, artifactId: string): void {
  const left = (draft.execution.artifacts ?? []).filter((entry) => entry.artifactId !== artifactId);
  draft.set({ artifacts: left });
}

function refuse(draft: ExecutionDraft, reason: string, at: number): void {
  const name = draft.artifact?.name ?? '';
  draft.closeArtifact();
  logRefusal(draft, { name, reason, at });
}

/** Maximum length of a name or reason in the log, in characters: longer than any reason of our own agent. */
const MAX_REASON = 1024;

function logRefusal(draft: ExecutionDraft, { name, reason, at }: { name: string; reason: string; at: number }): void {
  const subject = name === '' ? 'Artifacts were' : `The artifact ${JSON.stringify(name.slice(0, MAX_REASON))} was`;
  draft.note(`${subject} not stored: ${reason.slice(0, MAX_REASON)}.`, at);
}
