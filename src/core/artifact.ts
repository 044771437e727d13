/** Artifacts: files that a command leaves for later. What may be one, wherever its name or its pattern comes from. */

/** Bytes of a name in UTF-8. */
export const MAX_ARTIFACT_NAME_BYTES = 1024;
/** Artifacts of an execution; also the patterns that its request may declare. */
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
