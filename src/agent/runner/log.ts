/**
 * The log of the runner: lines in the format of the link process, on standard error, which is a file in the agent's directory. It does
 * not use the link's logger, because the runner loads no packages.
 */
import { LogDestination } from '../../node/log-destination.ts';

const STDERR = 2;
const WARN = 40;
/** The levels at which a warning is not logged. */
const ABOVE_WARN = ['error', 'fatal', 'silent'];

export interface RunnerLog {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** Returns a log that writes lines of `level` and above to standard error. Unknown levels count as info. */
export function openLog(level: string): RunnerLog {
  const destination = new LogDestination({ fd: STDERR });
  return {
    warn: (fields, message) => {
      if (ABOVE_WARN.includes(level)) return;
      const line = { level: WARN, time: new Date().toISOString(), name: 'runner', ...fields, msg: message };
      destination.write(`${JSON.stringify(line)}\n`);
    },
  };
}
