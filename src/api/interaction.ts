/** Live stdin and signals for a running command, in the HTTP API. */
import { type Static, Type } from 'typebox';
import { ExecutionId } from './fields.ts';

export const StdinQuery = Type.Object({
  offset: Type.Optional(
    Type.Integer({
      minimum: 0,
      description: 'Offset of the first byte in stdin; absent: after all earlier bytes.',
      examples: [0],
    }),
  ),
  close: Type.Optional(Type.Boolean({ description: 'Close stdin after these bytes.', examples: [true] })),
});

export const StdinResultSchema = Type.Object(
  {
    execution_id: ExecutionId,
    offset: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'Bytes of stdin that were accepted so far; may be absent in a replay.',
        examples: [2048],
      }),
    ),
    closed: Type.Optional(
      Type.Boolean({ description: 'Stdin is closed; may be absent in a replay.', examples: [false] }),
    ),
  },
  { description: 'The progress of stdin.' },
);
export type StdinResultWire = Static<typeof StdinResultSchema>;

/** Signals that Linux knows by name and a caller may want to send. */
const SIGNALS = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGILL',
  'SIGTRAP',
  'SIGABRT',
  'SIGBUS',
  'SIGFPE',
  'SIGKILL',
  'SIGUSR1',
  'SIGSEGV',
  'SIGUSR2',
  'SIGPIPE',
  'SIGALRM',
  'SIGTERM',
  'SIGCHLD',
  'SIGCONT',
  'SIGSTOP',
  'SIGTSTP',
  'SIGTTIN',
  'SIGTTOU',
  'SIGURG',
  'SIGXCPU',
  'SIGXFSZ',
  'SIGVTALRM',
  'SIGPROF',
  'SIGWINCH',
  'SIGIO',
  'SIGPWR',
  'SIGSYS',
] as const;

export const SendSignalSchema = Type.Object(
  { signal: Type.Enum([...SIGNALS], { description: 'The name of the signal.', examples: ['SIGHUP'] }) },
  { additionalProperties: false, description: 'The signal to send.' },
);
export type SendSignal = Static<typeof SendSignalSchema>;
