/** The launch options of a command, in the spelling of the protocol and of the stored record. */
import { type Static, Type } from 'typebox';
import { MAX_ARTIFACTS } from './artifact.ts';
import { NO_NUL } from './machines/labels.ts';

export const TextWithoutNul = Type.String({ pattern: NO_NUL });

/** The size of a terminal in characters; 0 if it is not known. */
export const TerminalSizeSchema = Type.Object({
  width: Type.Integer({ minimum: 0, maximum: 65_535 }),
  height: Type.Integer({ minimum: 0, maximum: 65_535 }),
});

export type TerminalSize = Static<typeof TerminalSizeSchema>;

/** Limits of a command, for all of its processes together. */
export const LimitsSchema = Type.Object({
  memory_bytes: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
  cpus: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 100_000 })),
  pids: Type.Optional(Type.Integer({ minimum: 1, maximum: 4_194_304 })),
});

export type Limits = Static<typeof LimitsSchema>;

/** The drop folder is always collected; `declared` lists paths under cwd besides. */
export const StartArtifactsSchema = Type.Object({
  declared: Type.Array(
    Type.Object({
      path: TextWithoutNul,
      name: Type.Optional(TextWithoutNul),
      if_missing: Type.Optional(Type.Union([Type.Literal('ignore'), Type.Literal('fail')])),
    }),
    { maxItems: MAX_ARTIFACTS },
  ),
  /** Limit for each file. */
  max_bytes: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  /** Time from the exit on. */
  timeout_ms: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
});
export type StartArtifacts = Static<typeof StartArtifactsSchema>;
