import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AGENT_SETTINGS } from '../../src/agent/config.ts';
import { SERVER_SETTINGS } from '../../src/server/config.ts';
import type { Release } from './release.ts';

interface Setting {
  variable: string;
  default: string | undefined;
  description: string;
}

/** Returns execplane(1): deploy/man/execplane.1 with the settings of this release. */
export function manPage(root: string, release: Release): string {
  return readFileSync(join(root, 'deploy/man/execplane.1'), 'utf8')
    .replace('@DATE@', new Date(release.epoch * 1000).toISOString().slice(0, 10))
    .replace('@VERSION@', release.version)
    .replace('@SERVER_SETTINGS@', SERVER_SETTINGS.map(entry).join('\n'))
    .replace('@AGENT_SETTINGS@', AGENT_SETTINGS.map(entry).join('\n'));
}

function entry({ variable, default: fallback, description }: Setting): string {
  const shown = fallback === undefined ? '' : ` (default: ${fallback})`;
  return `.TP\n.B ${roff(variable)}\n${roff(description + shown)}`;
}

/** Escapes text for roff: a backslash, a hyphen-minus, and a dot at the start of a line. */
function roff(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replace(/^\./, '\\&.');
}
