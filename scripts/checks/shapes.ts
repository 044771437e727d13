/**
 * Generates the shapes of answers, for the client library: the names and types of fields, taken from the schemas of src/api. The library
 * does not use the schemas themselves, because they need TypeBox.
 */
import { type TSchema, Type } from 'typebox';
import * as admin from '../../src/api/admin.ts';
import { ArtifactSchema } from '../../src/api/artifact.ts';
import { BatchSchema } from '../../src/api/batch.ts';
import * as console from '../../src/api/console.ts';
import { ExecutionEventSchema, ExecutionSchema } from '../../src/api/execution.ts';
import { HealthSchema } from '../../src/api/health.ts';
import { StdinResultSchema } from '../../src/api/interaction.ts';
import { MachineDetailSchema, MachineSchema } from '../../src/api/machine.ts';
import { ExecutionOutputSchema } from '../../src/api/output.ts';
import { ScheduleRunSchema } from '../../src/api/schedules/run.ts';
import { SchedulePreviewSchema, ScheduleSchema } from '../../src/api/schedules/schedule.ts';
import { TerminalSchema, TerminalTicketSchema } from '../../src/api/terminal.ts';
import type { Field } from '../../src/client/http/shape.ts';

interface ShapedType {
  /** Module of the type, below src/api. */
  module: string;
  schema: TSchema;
}

/** The answers of one file of shapes, by the name of their type. */
export interface ShapeFile {
  /** Path from the root of the repository. */
  path: string;
  /** Path of src/api from the file. */
  api: string;
  /** Path of shape.ts from the file. */
  shape: string;
  types: Readonly<Record<string, ShapedType>>;
}

export const SHAPE_FILES: readonly ShapeFile[] = [
  {
    path: 'src/client/http/shapes.ts',
    api: '../../api',
    shape: './shape.ts',
    types: {
      ApiKeyWire: { module: 'admin', schema: admin.ApiKeySchema },
      ArtifactWire: { module: 'artifact', schema: ArtifactSchema },
      AuditEntryWire: { module: 'admin', schema: admin.AuditEntrySchema },
      BatchWire: { module: 'batch', schema: BatchSchema },
      CreatedApiKeyWire: { module: 'admin', schema: admin.CreatedApiKeySchema },
      CreatedJoinTokenWire: { module: 'admin', schema: admin.CreatedJoinTokenSchema },
      ExecutionEventWire: { module: 'execution', schema: ExecutionEventSchema },
      ExecutionOutputWire: { module: 'output', schema: ExecutionOutputSchema },
      ExecutionWire: { module: 'execution', schema: ExecutionSchema },
      HealthWire: { module: 'health', schema: HealthSchema },
      JoinTokenWire: { module: 'admin', schema: admin.JoinTokenSchema },
      MachineDetailWire: { module: 'machine', schema: MachineDetailSchema },
      MachineWire: { module: 'machine', schema: MachineSchema },
      SchedulePreviewWire: { module: 'schedules/schedule', schema: SchedulePreviewSchema },
      ReleasedAuditWire: { module: 'admin', schema: admin.ReleasedAuditSchema },
      ScheduleRunWire: { module: 'schedules/run', schema: ScheduleRunSchema },
      ScheduleWire: { module: 'schedules/schedule', schema: ScheduleSchema },
      StdinResultWire: { module: 'interaction', schema: StdinResultSchema },
      TerminalTicketWire: { module: 'terminal', schema: TerminalTicketSchema },
      TerminalWire: { module: 'terminal', schema: TerminalSchema },
    },
  },
  {
    path: 'src/console/data/shapes.ts',
    api: '../../api',
    shape: '../../client/http/shape.ts',
    types: {
      ConsoleOverview: { module: 'console', schema: console.ConsoleOverviewSchema },
      ConsoleSession: { module: 'console', schema: console.ConsoleSessionSchema },
      SignInWays: { module: 'console', schema: console.SignInWaysSchema },
      WaitingCallbackWire: { module: 'console', schema: console.WaitingCallbackSchema },
    },
  },
];

/** Returns the text of a file of shapes. */
export function shapesSource({ types, api, shape }: ShapeFile): string {
  const names = Object.keys(types);
  const modules = Map.groupBy(names, (name) => types[name]?.module ?? '');
  const imports = [...modules].map(([module, of]) => `import type { ${of.join(', ')} } from '${api}/${module}.ts';\n`);
  const shapes = Object.entries(types).map(([name, { schema }]) => {
    const constant = name
      .replace(/Wire$/, '')
      .replace(/(?<=[a-z])(?=[A-Z])/g, '_')
      .toUpperCase();
    return `export const ${constant}: Shape<${name}> = ${JSON.stringify(fieldOf(schema))};\n`;
  });
  return [
    '/** The fields of the answers. Made by "npm run checks" from the schemas of src/api; not to be edited. */\n',
    `${imports.toSorted().join('')}import type { Shape } from '${shape}';\n`,
    ...shapes,
  ].join('\n');
}

/** Returns the field of a schema. Enumerations are plain text, because a newer server may have more values. */
function fieldOf(schema: TSchema): Field {
  if (Type.IsObject(schema)) {
    const required = new Set(schema.required);
    const entries = Object.entries(schema.properties).map(
      ([name, property]) => [required.has(name) ? name : `${name}?`, fieldOf(property)] as const,
    );
    return Object.fromEntries(entries);
  }
  if (Type.IsArray(schema)) return [fieldOf(schema.items)];
  if (Type.IsRecord(schema)) return { '*': fieldOf(Object.values(schema.patternProperties)[0] ?? Type.Unknown()) };
  if (Type.IsString(schema) || Type.IsEnum(schema)) return 'string';
  if (Type.IsLiteral(schema) && typeof schema.const === 'string') return 'string';
  if (Type.IsInteger(schema) || Type.IsNumber(schema)) return 'number';
  if (Type.IsBoolean(schema)) return 'boolean';
  if (Type.IsUnknown(schema)) return 'any';
  throw new Error(`no shape for this schema: ${JSON.stringify(schema)}`);
}
