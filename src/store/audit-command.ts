/** Shortens an argv for the audit trail: its first arguments, and a digest of the whole. */
import { createHash } from 'node:crypto';

/** Maximum number of characters of an argv that are kept. */
const MAX_CHARACTERS = 4096;
/** Maximum number of arguments that are kept. */
const MAX_ARGUMENTS = 256;

/** Returns the first arguments, up to the limits; the last one may be cut. `digest`: SHA-256, hex, of the whole argv as JSON. */
export function boundedCommand(argv: readonly string[]): { command: readonly string[]; digest: string } {
  const digest = digestOf(argv);
  const command: string[] = [];
  let room = MAX_CHARACTERS;
  for (const argument of argv.slice(0, MAX_ARGUMENTS)) {
    if (room <= 0) break;
    command.push(argument.slice(0, room));
    room -= argument.length;
  }
  return { command, digest };
}

/** Returns the SHA-256, hex, of an argv as JSON. */
export function digestOf(argv: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(argv)).digest('hex');
}
