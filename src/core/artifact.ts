/** Artifacts: files that a command leaves. Checks their names and patterns, whatever their origin. */

/** Maximum length of the name of an artifact, in bytes of UTF-8. */
export const MAX_ARTIFACT_NAME_BYTES = 1024;
/** Maximum number of artifacts of an execution, and of patterns that its request may declare. */
export const MAX_ARTIFACTS = 100;

/** Whether `name` is a relative path without `.` and `..`, with `/` between its segments. */
export function isArtifactName(name: string): boolean {
  const bytes = new TextEncoder().encode(name).length;
  if (bytes === 0 || bytes > MAX_ARTIFACT_NAME_BYTES || name.includes('\0')) return false;
  return name.split('/').every((segment) => segment !== '' && segment !== '.' && segment !== '..');
}

/** Whether a pattern can only match paths under the working directory. */
export function isArtifactPattern(path: string): boolean {
  return isArtifactName(path.replace(/\/$/, '').replace(/^(\.\/)+/, ''));
}

/** Files that a request declares as artifacts, by a pattern of paths under the working directory. */
export interface DeclaredArtifact {
  /** `*` is anything within a segment, `**` anything at all, `?` one character. A directory means all files in it. */
  path: string;
  /** The name of the file, or the folder of the names if the pattern may match several. Absent: the path. */
  name?: string;
  /** `fail`: the execution fails if nothing matches. */
  if_missing?: 'ignore' | 'fail';
}

/** An artifact as listed by its execution. */
export interface ArtifactEntry {
  artifactId: string;
  name: string;
}

/** An artifact whose bytes are being received. */
export interface OpenArtifact extends ArtifactEntry {
  bytes: number;
}
