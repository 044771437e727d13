/** The audit trail's form of an argv: its beginning, and a digest that identifies the whole. */
import { createHash } from 'node:crypto';

/** Characters of an argv that are kept. */
const MAX_CHARACTERS = 4096;
/** Arguments of it that are kept, however short. */
const MAX_ARGUMENTS = 256;

/** Returns the first arguments as long as they fit; the one that does not fit is cut. `digest`: SHA-256, hex, of the whole as JSON. */
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
