/** Healthcheck of an agent's container: exit code 0 while its link is connected, according to its file in the given directory. */
import { readFileSync } from 'node:fs';

const { linked } = JSON.parse(readFileSync(`${process.argv[2]}/link.pid`, 'utf8'));
process.exit(linked ? 0 : 1);
