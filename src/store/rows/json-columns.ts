/** Parses the columns that contain JSON against their schemas. An error for a value that does not match names the column. */
import { type Static, type TSchema, Type } from 'typebox';
import { Compile } from 'typebox/schema';
import { StartArtifactsSchema, LimitsSchema, TerminalSizeSchema } from '../../core/launch-options.ts';
import { OVERLAPS } from '../../core/schedule.ts';
import { HostSchema } from '../../core/machines/machine-facts.ts';

// The schemas have no bounds of requests: the bounds may have been others when the request was stored.
const Count = Type.Integer({ minimum: 0 });
const ArtifactEntrySchema = Type.Object({ artifactId: Type.String(), name: Type.String() });
const ScheduleSchema = Type.Object({
  name: Type.Optional(Type.String()),
  timing: Type.Union([
    Type.Object({ cron: Type.String(), timeZone: Type.String() }),
    Type.Object({ everyMs: Type.Integer({ minimum: 1 }) }),
  ]),
  selector: Type.Union([
    Type.Object({ labels: Type.Record(Type.String(), Type.String()) }),
    Type.Object({ machineIds: Type.Array(Type.String()) }),
  ]),
  overlap: Type.Enum([...OVERLAPS]),
  catchUp: Type.Boolean(),
  maxConcurrency: Count,
  maxFailures: Type.Optional(Count),
  shown: Type.Object({
    command: Type.Array(Type.String()),
    envKeys: Type.Array(Type.String()),
    cwd: Type.Optional(Type.String()),
    user: Type.Optional(Type.String()),
    timeoutMs: Type.Optional(Count),
  }),
});

const SCHEMAS = {
  strings: Type.Array(Type.String()),
  stringRecord: Type.Record(Type.String(), Type.String()),
  counts: Type.Record(Type.String(), Count),
  host: Type.Object({ ...HostSchema.properties, agentVersion: Type.String() }),
  launch: Type.Object({ tty: Type.Optional(TerminalSizeSchema), limits: Type.Optional(LimitsSchema) }),
  declaredArtifacts: StartArtifactsSchema.properties.declared,
  artifacts: Type.Object({
    entries: Type.Optional(Type.Immutable(Type.Array(ArtifactEntrySchema))),
    open: Type.Optional(Type.Object({ ...ArtifactEntrySchema.properties, bytes: Count })),
  }),
  schedule: ScheduleSchema,
  deletedSchedule: Type.Object({
    scheduleId: Type.String(),
    definition: ScheduleSchema,
    createdBy: Type.String(),
    createdAt: Count,
    anchorAt: Count,
    paused: Type.Optional(Type.String()),
    nextAt: Type.Optional(Count),
  }),
  usage: Type.Object({
    cpu_user_ms: Count,
    cpu_system_ms: Count,
    max_memory_bytes: Count,
    io_read_bytes: Type.Optional(Count),
    io_write_bytes: Type.Optional(Count),
  }),
};

/** Readers of columns: each takes the name of the column, for its error, and the text in it. */
export const JSON_COLUMN = {
  strings: reader(SCHEMAS.strings),
  stringRecord: reader(SCHEMAS.stringRecord),
  counts: reader(SCHEMAS.counts),
  host: reader(SCHEMAS.host),
  launch: reader(SCHEMAS.launch),
  declaredArtifacts: reader(SCHEMAS.declaredArtifacts),
  artifacts: reader(SCHEMAS.artifacts),
  usage: reader(SCHEMAS.usage),
  schedule: reader(SCHEMAS.schedule),
  deletedSchedule: reader(SCHEMAS.deletedSchedule),
};

export type LaunchColumn = Static<typeof SCHEMAS.launch>;
export type ArtifactsColumn = Static<typeof SCHEMAS.artifacts>;

function reader<S extends TSchema>(schema: S): (column: string, text: string) => Static<S> {
  const validator = Compile(schema);
  return (column, text) => {
    const value: unknown = JSON.parse(text);
    if (!validator.Check(value)) throw new Error(`The column ${column} contains malformed JSON.`);
    return value;
  };
}
