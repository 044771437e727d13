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

Every setting is an environment variable with a flag of the same name: \`EXECPLANE_DATA_DIR\` is \`--data-dir\`. A flag wins over its variable. An empty
variable counts as unset. If a value is invalid, the program does not start: it prints a message that names the setting, and exits with code 2.

The program reads no configuration file. The systemd units read the variables from \`/etc/execplane/server.env\` and \`/etc/execplane/agent.env\`, one
\`NAME=VALUE\` per line; after a change, restart the service. Commands of the machine keep running.

Do not pass secrets as flags: every user of the host can see them in the process list.
`;

const SECTIONS: readonly (readonly [title: string, text: string, settings: readonly Setting[]])[] = [
  [
    'Server',
    'For `execplane server`, and for `execplane up`. Traces are configured by the variables of OpenTelemetry: [operate.md](operate.md#traces). Callbacks go through the proxy of `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`: [operate.md](operate.md#callbacks-behind-a-proxy).',
    SERVER_SETTINGS,
  ],
  [
    'Agent',
    'For `execplane agent`, and for `execplane up`. The agent also reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`: [install.md](install.md#behind-a-proxy).',
    AGENT_SETTINGS,
  ],
  [
    'Command line',
    'For every command that talks to a server, such as `exec`, `machines` and `keys`. They also read the proxy variables: [cli.md](cli.md#proxies).',
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
