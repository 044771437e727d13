/** Healthcheck of an agent's container: exit code 0 if the link's pid file in the given directory says that it is connected. */
import { readFileSync } from 'node:fs';

const { linked } = JSON.parse(readFileSync(`${process.argv[2]}/link.pid`, 'utf8'));
process.exit(linked ? 0 : 1);
