/** What a collector of artifacts is told, and tells, as schemas. It is checked with the functions of checks.ts. */
import { type Static, Type } from 'typebox';

const Text = Type.String({ maxLength: 65_536 });

export const CollectorTaskSchema = Type.Object({
  /** The drop folder; it is removed at the end. */
  folder: Type.Optional(Text),
  /** Where the command was started: `cwd`, from the home, or from / if there is no home. */
  home: Text,
  cwd: Text,
  declared: Type.Array(Type.Object({ path: Text, name: Type.Optional(Text) })),
  maxFiles: Type.Integer({ minimum: 0 }),
  maxBytes: Type.Integer({ minimum: 0 }),
});
export type CollectorTask = Static<typeof CollectorTaskSchema>;

/** The payload of `begin`, `skipped` and `missing`. */
export const CollectorNoteSchema = Type.Object({
  name: Type.Optional(Text),
  reason: Type.Optional(Text),
  path: Type.Optional(Text),
});
export type CollectorNote = Static<typeof CollectorNoteSchema>;
