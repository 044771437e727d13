import mime from 'mime/lite';
import type { ArtifactWire } from '../../../api/artifact.ts';
import type { Artifact } from '../../../store/store.ts';
import { time } from './wire.ts';

/** Converts an artifact to the API's form. One that is kept without end has no `expires_at`. */
export function artifactWire(artifact: Artifact, downloadUrl: string): ArtifactWire {
  const { expiresAt } = artifact;
  return {
    artifact_id: artifact.artifactId,
    machine_id: artifact.machineId,
    execution_id: artifact.executionId,
    name: artifact.name,
    size_bytes: artifact.bytes,
    created_at: time(artifact.createdAt),
    mime_type: mediaTypeOf(artifact.name),
    sha256: artifact.sha256,
    download_url: downloadUrl,
    ...(expiresAt < Number.MAX_SAFE_INTEGER && { expires_at: time(expiresAt) }),
  };
}

/** Returns the media type of a file, by its name. */
function mediaTypeOf(name: string): string {
  return mime.getType(name) ?? 'application/octet-stream';
}
