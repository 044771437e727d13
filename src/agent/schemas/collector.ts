/** The task of a collector of artifacts and its messages, as schemas. The functions of checks.ts check them. */
import { type Static, Type } from 'typebox';

const Text = Type.String({ maxLength: 65_536 });

export const CollectorTaskSchema = Type.Object({
  /** The drop folder. It is removed at the end. */
  folder: Type.Optional(Text),
  /** The directory in which the command was started: `cwd`, relative to the home, or / if there is no home. */
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
