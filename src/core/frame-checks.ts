/** Parses frames: one object of JSON with a `type`, checked against the schema of that type. */
import type { TLiteral, TObject } from 'typebox';
import { Compile } from 'typebox/schema'; // typebox/compile makes the same check, and loads code that a link does not need.

type FrameSchema = TObject<{ type: TLiteral<string> }>;

export type Parsed<F> = { ok: true; frame: F; attachment: Buffer } | { ok: false; reason: string };

interface FrameCheck {
  check: (value: unknown) => boolean;
}

/** One compiled check per frame type, so that a frame is checked against its own schema and not against all of them. */
export function byType(schemas: readonly FrameSchema[]): Map<string, FrameCheck> {
  return new Map(
    schemas.map((schema) => {
      const compiled = Compile(schema);
      return [schema.properties.type.const, { check: (value) => compiled.Check(value) }];
    }),
  );
}

/** Parses the text of a frame and checks it. */
export function parse<F>(text: string, checks: Map<string, FrameCheck>, attachment: Buffer): Parsed<F> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, reason: 'not JSON' };
  }
  if (typeof value !== 'object' || value === null || !('type' in value) || typeof value.type !== 'string') {
    return { ok: false, reason: 'no type' };
  }
  const frameCheck = checks.get(value.type);
  if (frameCheck === undefined) return { ok: false, reason: `unknown type ${value.type.slice(0, 32)}` };
  return frameCheck.check(value)
    ? { ok: true, frame: value as F, attachment }
    : { ok: false, reason: `malformed ${value.type}` };
}
