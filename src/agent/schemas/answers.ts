/** The server's answers to the agent's HTTP requests, as schemas. The functions of checks.ts check them. */
import { type Static, Type } from 'typebox';

/** Both shapes of an error (docs/api.md, "Errors"): only the parts that are shown to a person. */
export const ErrorBodySchema = Type.Object({
  message: Type.Optional(Type.String()),
  detail: Type.Optional(Type.String()),
});
export type ErrorBody = Static<typeof ErrorBodySchema>;
