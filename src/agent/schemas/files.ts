/** The files in the agent's directory, as schemas. The functions of checks.ts, which are generated from the schemas, check them. */
import { type Static, Type } from 'typebox';

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Pid = Type.Integer({ minimum: 1 });
const Instance = Type.String({ minLength: 1, maxLength: 64 });

/** link.pid. */
export const LinkPidSchema = Type.Object({
  pid: Pid,
  start_time: Type.String(),
  version: Type.String(),
  linked: Type.Boolean(),
});
export type LinkPid = Static<typeof LinkPidSchema>;

/** credential.json. */
export const CredentialFileSchema = Type.Object({
  machine_id: Type.String({ minLength: 1 }),
  credential: Type.String({ minLength: 16 }),
  enrolled_with: Type.Optional(Type.String()),
});
export type CredentialFile = Static<typeof CredentialFileSchema>;

/** enrolment.json. */
export const EnrolmentFileSchema = Type.Object({
  credential: Type.String({ minLength: 16 }),
  enrolled_with: Type.String(),
});
export type EnrolmentFile = Static<typeof EnrolmentFileSchema>;

/** instance.json: left by a runner that exited in order, for the next one. */
export const InstanceFileSchema = Type.Object({
  runner_instance: Instance,
  last_dispatch_number: Count,
  boot_id: Type.String(),
  /** Device and inode of the directory that it was written in: a copy of that directory is another instance. */
  directory: Type.String(),
});
export type InstanceFile = Static<typeof InstanceFileSchema>;

/** runner.pid.N, and a `spawned` note of the journal. */
export const ProcessIdentitySchema = Type.Object({ pid: Pid, startTime: Type.String(), bootId: Type.String() });

/** An `accepted` note of the journal. */
export const AcceptedNoteSchema = Type.Object({ dispatch_number: Count });
export type AcceptedNote = Static<typeof AcceptedNoteSchema>;

/** Output so far: `reported` is the highest report number, `kept` counts bytes in reports, `bytes` counts all bytes produced. */
export const TallySchema = Type.Object({
  reported: Count,
  stdout_kept: Count,
  stderr_kept: Count,
  stdout_bytes: Count,
  stderr_bytes: Count,
});
export type Tally = Static<typeof TallySchema>;

/** A `live` note of the journal. */
export const LiveNoteSchema = Type.Object({
  ...AcceptedNoteSchema.properties,
  ...TallySchema.properties,
  process: Type.Optional(ProcessIdentitySchema),
});
export type LiveNote = Static<typeof LiveNoteSchema>;

/** The payload of a `progress` report. */
export const ProgressPayloadSchema = Type.Object({ stdout_bytes: Count, stderr_bytes: Count });
