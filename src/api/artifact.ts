/** Artifacts in the HTTP API, and how a request declares them. */
import { type Static, Type } from 'typebox';
import { MAX_ARTIFACTS } from '../core/artifact.ts';
import { Bytes, ExecutionId, ListQuery, MachineId, NextCursor, Time } from './fields.ts';
import { EXECUTION_ID_PATTERN, NO_NUL, NOT_EMPTY_NO_NUL } from './patterns.ts';

const ArtifactId = Type.String({
  pattern: EXECUTION_ID_PATTERN,
  maxLength: 280,
  description: 'The artifact.',
  examples: ['art-exec-V1StGXR8Z5jdHi6B-3'],
});
const Name = Type.String({
  description: 'Its relative path, with / between segments.',
  examples: ['dist/app.tgz'],
});

/** An element of `artifacts` of an Execution. */
export const ArtifactEntrySchema = Type.Object({ artifact_id: ArtifactId, name: Name });

export const ArtifactSchema = Type.Object(
  {
    artifact_id: ArtifactId,
    machine_id: MachineId,
    execution_id: ExecutionId,
    name: Name,
    size_bytes: Bytes('Size of the file in bytes.'),
    created_at: Time('When it was complete on the server.'),
    mime_type: Type.String({ description: 'Media type, derived from its name.', examples: ['application/gzip'] }),
    sha256: Type.String({
      description: 'SHA-256 of its bytes, hexadecimal.',
      examples: ['e3b0c44298fc1c149afbf4c8996fb924…'],
    }),
    download_url: Type.String({
      format: 'uri',
      description: 'URL of its bytes, valid without a key for 15 minutes.',
      examples: ['https://example.com/downloads/art-exec-V1StGXR8Z5jdHi6B-3'],
    }),
    expires_at: Type.Optional(Time('When it is deleted; absent: never.')),
  },
  { description: 'A file that a command left.' },
);
export type ArtifactWire = Static<typeof ArtifactSchema>;

export const ArtifactListSchema = Type.Object(
  { items: Type.Array(ArtifactSchema, { description: 'Newest first.' }), next_cursor: NextCursor },
  { description: 'A page of artifacts.' },
);

export const ArtifactParams = Type.Object({ machine_id: MachineId, artifact_id: ArtifactId });
export const ArtifactListQuery = Type.Object({
  ...ListQuery.properties,
  execution_id: Type.Optional(ExecutionId),
});

export const DownloadParams = Type.Object({ artifact_id: ArtifactId });
export const DownloadQuery = Type.Object({
  expires: Type.Optional(Type.String({ description: 'Seconds since the epoch.', examples: ['1767225600'] })),
  signature: Type.Optional(
    Type.String({
      maxLength: 64,
      description: 'Signature over id and expiry.',
      examples: ['gcDX9A2UsY4iGSk7pBEqLNFK9YTNqZf6-ibOUKr1n3M'],
    }),
  ),
});

/** `artifacts` of a create. */
export const DeclaredArtifacts = Type.Array(
  Type.Object(
    {
      path: Type.String({
        pattern: NOT_EMPTY_NO_NUL,
        maxLength: 1024,
        description:
          'Pattern of paths in the working directory: * is anything within a segment, ** anything, ? one character. A segment ** also stands for no folder.',
        examples: ['dist/*.tgz'],
      }),
      name: Type.Optional(
        Type.String({
          pattern: NO_NUL,
          maxLength: 1024,
          description: 'Its name; the folder of the names if the path is a pattern or a folder.',
          examples: ['packages'],
        }),
      ),
      if_missing: Type.Optional(
        Type.Enum(['ignore', 'fail'], {
          description: 'fail: the execution fails if nothing matches.',
          examples: ['fail'],
        }),
      ),
    },
    { additionalProperties: false },
  ),
  {
    maxItems: MAX_ARTIFACTS,
    description: 'Files to keep at the end, besides those in the folder $ARTIFACTS_DIR.',
  },
);
