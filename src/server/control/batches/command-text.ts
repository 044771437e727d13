/** Converts between the command of a batch and the text that is sealed and stored. */
import { Type } from 'typebox';
import { Compile } from 'typebox/schema';
import { LimitsSchema, StartArtifactsSchema, TerminalSizeSchema } from '../../../core/launch-options.ts';
import type { CreateRequest } from '../control.ts';

export type BatchCommand = Omit<CreateRequest, 'machineId' | 'createdBy' | 'actor' | 'idempotency' | 'trace'>;

const command = Compile(
  Type.Object({
    command: Type.Array(Type.String()),
    stdin: Type.Object({
      mode: Type.Union([Type.Literal('none'), Type.Literal('fixed'), Type.Literal('open')]),
      base64: Type.Optional(Type.String()),
    }),
    env: Type.Record(Type.String(), Type.String()),
    cwd: Type.Optional(Type.String()),
    user: Type.Optional(Type.String()),
    timeoutMs: Type.Optional(Type.Number()),
    startWithinMs: Type.Optional(Type.Number()),
    callbackUrl: Type.Optional(Type.String()),
    outputMode: Type.Optional(Type.Literal('stream')),
    tty: Type.Optional(TerminalSizeSchema),
    limits: Type.Optional(LimitsSchema),
    isTerminal: Type.Optional(Type.Literal(true)),
    declaredArtifacts: Type.Optional(StartArtifactsSchema.properties.declared),
  }),
);

/** Returns the text that `readCommand` reads. */
export function commandText({ stdin, ...rest }: BatchCommand): string {
  const text = stdin.mode === 'fixed' ? { mode: 'fixed', base64: stdin.bytes.toString('base64') } : stdin;
  return JSON.stringify({ ...rest, stdin: text });
}

/** Throws if the text was not made by `commandText`. */
export function readCommand(text: string): BatchCommand {
  const value: unknown = JSON.parse(text);
  if (!command.Check(value)) throw new Error('the sealed command of a batch is malformed');
  const { stdin, ...rest } = value;
  const { mode, base64 = '' } = stdin;
  return { ...rest, stdin: mode === 'fixed' ? { mode, bytes: Buffer.from(base64, 'base64') } : { mode } };
}
