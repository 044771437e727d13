import { AGENT_SETTINGS } from '../../src/agent/config.ts';
import { CLIENT_SETTINGS } from '../../src/cli/config.ts';
import { SERVER_SETTINGS } from '../../src/server/config.ts';

interface Setting {
  variable: string;
  flag: string;
  default: string | undefined;
  description: string;
}

const HEAD = `# Configure

<!-- Made by scripts/configure-docs.ts from the tables that the program reads; a test holds it to them. -->

Every setting is an environment variable with a flag of the same name: \`EXECPLANE_DATA_DIR\` is \`--data-dir\`. A flag wins over its variable; an empty
variable is as good as none. A wrong one stops the start with a message that names it, and exit code 2. There is no file of settings: systemd
units read \`/etc/execplane/server.env\` and \`/etc/execplane/agent.env\`, which hold the variables, one a line.

What is secret is better not a flag, which every user of the host can see in the process list.
`;

const SECTIONS: readonly (readonly [title: string, text: string, settings: readonly Setting[]])[] = [
  [
    'Server',
    'For `execplane server`, and for `execplane up`. Traces have the variables of OpenTelemetry: [operate.md](operate.md#traces).',
    SERVER_SETTINGS,
  ],
  ['Agent', 'For `execplane agent`, and for `execplane up`.', AGENT_SETTINGS],
  [
    'Command line',
    'For the commands that talk to a server: `exec`, `machines`, `executions`, `keys`, `tokens`, `audit`, `status`, `login`.',
    CLIENT_SETTINGS,
  ],
];

/** Returns the whole page. */
export function configureDocs(): string {
  const sections = SECTIONS.map(([title, text, settings]) => `\n## ${title}\n\n${text}\n\n${table(settings)}\n`);
  return [HEAD, ...sections].join('');
}

function table(settings: readonly Setting[]): string {
  const rows = settings.map(
    ({ variable, flag, default: fallback, description }) =>
      `| \`${variable}\` | \`${flag}\` | ${fallback === undefined ? '' : `\`${fallback}\``} | ${description.replaceAll('|', '\\|')} |`,
  );
  return ['| variable | flag | default | |', '|---|---|---|---|', ...rows].join('\n');
}
