/** SIGHUP, which ends a program whose terminal is closed unless it was started by nohup. */
import { basename } from 'node:path';
import { environment } from './config.ts';

/**
 * Whether this process was started with SIGHUP ignored. Node gives signals their default action back before any script runs,
 * so the launcher (launcher.sh) looks and tells; without it there is the name of the program that bash leaves in `_`.
 */
export function isHangupIgnored(): boolean {
  const env = environment();
  return env['EXECPLANE_HANGUP_IGNORED'] === 'true' || basename(env['_'] ?? '') === 'nohup';
}

/** Ignores SIGHUP again. */
export function keepHangupIgnored(): void {
  if (isHangupIgnored()) process.on('SIGHUP', () => {});
}
