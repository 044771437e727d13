/**
 * Generates the checks of the agent as source text. TypeBox compiles a schema to JavaScript when a program starts; this writes the
 * JavaScript to a file instead, because loading the library takes memory of the runner (44 MB without it, 69 MB with it).
 */
import type { TSchema } from 'typebox';
import { Build } from 'typebox/schema';
import { EnrolResponseSchema } from '../../src/core/enrolment.ts';
import { LINK_TO_RUNNER_SCHEMAS, RUNNER_TO_LINK_SCHEMAS } from '../../src/agent/runner-socket/frames.ts';
import { ErrorBodySchema } from '../../src/agent/schemas/answers.ts';
import { CollectorNoteSchema, CollectorTaskSchema } from '../../src/agent/schemas/collector.ts';
import * as files from '../../src/agent/schemas/files.ts';
import { PolicyFileSchema } from '../../src/agent/schemas/policy.ts';
import { AgentSettingsSchema } from '../../src/agent/schemas/settings.ts';

const HEAD = `// Made by "npm run checks" from the schemas; not to be edited. TypeBox writes JavaScript
// without types, which TypeScript does not check here; each guard has the type of its schema.
// @ts-nocheck
import type { Guard } from '../../core/json.ts';
import type { EnrolResponse } from '../../core/enrolment.ts';
import type { ProgressPayload } from '../../core/report.ts';
import type { ProcessIdentity } from '../../node/process-identity.ts';
import type { ErrorBody } from './answers.ts';
import type { CollectorNote, CollectorTask } from './collector.ts';
import type { AcceptedNote, CredentialFile, EnrolmentFile, InstanceFile, LinkPid, LiveNote } from './files.ts';

/** A check of the type of a field, and the message for a field that fails it. */
export interface FieldCheck {
  fits: (value: unknown) => boolean;
  expected: string;
}

const text = { CodePointCount: (value) => [...value].length };
`;

const GUARDS: Record<string, TSchema> = {
  EnrolResponse: EnrolResponseSchema,
  ErrorBody: ErrorBodySchema,
  CollectorTask: CollectorTaskSchema,
  CollectorNote: CollectorNoteSchema,
  LinkPid: files.LinkPidSchema,
  CredentialFile: files.CredentialFileSchema,
  EnrolmentFile: files.EnrolmentFileSchema,
  InstanceFile: files.InstanceFileSchema,
  ProcessIdentity: files.ProcessIdentitySchema,
  AcceptedNote: files.AcceptedNoteSchema,
  LiveNote: files.LiveNoteSchema,
  ProgressPayload: files.ProgressPayloadSchema,
};

type FrameSchema = TSchema & { properties: { type: { const: string } } };

/** Returns the text of src/agent/schemas/checks.ts. */
export function checksSource(): string {
  const guards = Object.entries(GUARDS).map(
    ([name, schema]) => `export const is${name}: Guard<${name}> = ${compiled(schema)};\n`,
  );
  return [
    HEAD,
    ...guards,
    frameChecks('LINK_TO_RUNNER', LINK_TO_RUNNER_SCHEMAS),
    frameChecks('RUNNER_TO_LINK', RUNNER_TO_LINK_SCHEMAS),
    fieldChecks('POLICY_RULES', PolicyFileSchema),
    fieldChecks('SETTINGS', AgentSettingsSchema),
  ].join('\n');
}

/** Returns a check for each frame type, so that a frame is checked against its own schema and not against all of them. */
function frameChecks(name: string, schemas: readonly FrameSchema[]): string {
  const entries = schemas.map((schema) => `  ['${schema.properties.type.const}', ${compiled(schema)}],\n`);
  return `export const ${name}: ReadonlyMap<string, (value: unknown) => boolean> = new Map([\n${entries.join('')}]);\n`;
}

/** Returns a check for each field of an object, so that a message can name the field that is wrong. */
function fieldChecks(
  name: string,
  { properties }: { properties: Record<string, TSchema & { expected?: string }> },
): string {
  const entries = Object.entries(properties).map(([field, schema]) => {
    if (schema.expected === undefined) throw new Error(`${name}: the schema of ${field} has no text "expected"`);
    return `  ['${field}', { fits: ${compiled(schema)}, expected: ${JSON.stringify(schema.expected)} }],\n`;
  });
  return `export const ${name}: ReadonlyMap<string, FieldCheck> = new Map([\n${entries.join('')}]);\n`;
}

function compiled(schema: TSchema): string {
  const build = Build(schema);
  const { variables } = build.External();
  const inlined = build
    .Functions()
    .join('; ')
    .replace(/External\[(\d+)\]/g, (_, index) => String(variables[Number(index)]))
    .replaceAll('Guard.CodePointCount', 'text.CodePointCount');
  if (build.UseUnevaluated() || /\b(External|Guard|Hashing|CheckContext)\b/.test(inlined)) {
    throw new Error(`a schema needs more of TypeBox than is written out here: ${JSON.stringify(schema)}`);
  }
  return `(value) => { ${inlined}; return ${build.Entry()}; }`;
}
