/** The request to send a signal, as it travels. */
import { type Static, Type } from 'typebox';

/** What Linux knows by name and a caller may want to send. */
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
  { additionalProperties: false, description: 'What to send.' },
);
export type SendSignal = Static<typeof SendSignalSchema>;
