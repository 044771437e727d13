/** The response of `/healthz` and `/readyz`. */
import { type Static, Type } from 'typebox';

export const HealthSchema = Type.Object(
  { status: Type.Literal('ok', { description: 'Always ok: otherwise there is no such answer.', examples: ['ok'] }) },
  { description: 'The server works.' },
);
export type HealthWire = Static<typeof HealthSchema>;
