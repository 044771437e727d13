/** What the server answers to the agent's HTTP requests, as schemas. It is checked with the functions of checks.ts. */
import { type Static, Type } from 'typebox';

/** Both shapes of an error (docs/api.md, "Errors"): only what can be told to a person. */
export const ErrorBodySchema = Type.Object({
  message: Type.Optional(Type.String()),
  detail: Type.Optional(Type.String()),
});
export type ErrorBody = Static<typeof ErrorBodySchema>;
