/** SIGHUP ends a program whose terminal is closed, unless the program was started by nohup. */
import { basename } from 'node:path';
import { environment } from './config.ts';

/**
 * Whether this process was started with SIGHUP ignored. Node restores the default action of signals before any script runs, so the
 * launcher (launcher.sh) checks and passes the answer on. Without the launcher, `_` has the name of the program that bash started.
 */
export function isHangupIgnored(): boolean {
  const env = environment();
  return env['EXECPLANE_HANGUP_IGNORED'] === 'true' || basename(env['_'] ?? '') === 'nohup';
}

/** Ignores SIGHUP again. */
export function keepHangupIgnored(): void {
  if (isHangupIgnored()) process.on('SIGHUP', () => {});
}
