import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { styleText } from 'node:util';
import { Argument, Command } from 'commander';
import { serviceSettings } from '../../../node/service-settings.ts';
import { CliError } from '../../cli-error.ts';
import { environment, wantsColour } from '../../config.ts';
import { addSettingOptions } from '../../setting-options.ts';
import { print } from '../../streams/output.ts';
import { printJson } from '../../terminal/print.ts';

const EXAMPLES = `
Examples:
  execplane doctor
  execplane doctor server --data-dir /var/lib/execplane
  execplane doctor agent --agent-dir /var/lib/execplane-agent/state --url https://execplane.example.com

Run it as root, or as the user of the service. It uses the settings of the packaged service; flags and variables win over them. Exit code 1: a check failed.`;

type Flags = Readonly<Record<string, string>>;
const SIDES = ['server', 'agent'] as const;
type Side = (typeof SIDES)[number];

type Finding = Awaited<ReturnType<typeof import('../../../agent/main.ts')['examineAgent']>>[number];

/** `execplane doctor`: prints one line for each check. Exit code 1 if one fails. */
export async function doctorCommand(): Promise<Command> {
  const [server, agent] = await Promise.all([import('../../../server/main.ts'), import('../../../agent/main.ts')]);
  const examine: Record<Side, (flags: Flags) => Promise<Finding[]>> = {
    server: async (flags) => server.examineServer(server.readServerConfig(flags, settingsOf('server')), Date.now()),
    agent: async (flags) => agent.examineAgent(agent.readAgentConfig(flags, settingsOf('agent')), Date.now()),
  };
  const present: Record<Side, (flags: Flags) => boolean> = {
    server: (flags) => {
      const { databaseUrl, dataDir } = server.readServerConfig(flags, settingsOf('server'));
      // A directory that was named is examined, whatever it is.
      return databaseUrl !== undefined || flags['dataDir'] !== undefined || existsSync(join(dataDir, 'execplane.db'));
    },
    agent: (flags) =>
      flags['agentDir'] !== undefined ||
      existsSync(join(resolve(agent.readAgentConfig(flags, settingsOf('agent')).dir), 'credential.json')),
  };
  return addSettingOptions(new Command('doctor'), server.SERVER_SETTINGS, agent.AGENT_SETTINGS)
    .description('Check everything that the server or the agent on this host needs, and say how to correct it.')
    .addArgument(new Argument('[SIDE]', 'server or agent; default: each that this host has').choices(SIDES))
    .option('--json', 'print the checks as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (side: Side | undefined, flags: Flags & { json?: true }) => {
      const { json, ...settings } = flags;
      const sides = side === undefined ? SIDES.filter((name) => present[name](settings)) : [side];
      if (sides.length === 0) throw nothingHere();
      const findings: (Finding & { side: Side })[] = [];
      for (const one of sides) {
        for (const finding of await examine[one](settings)) findings.push({ side: one, ...finding });
      }
      if (json) printJson({ items: findings });
      else for (const finding of findings) print(linesOf(finding));
      if (findings.some(({ state }) => state === 'fail')) process.exitCode = 1;
    });
}

/** Returns the settings of the packaged service, if there is one. Variables of this process override them. */
function settingsOf(side: Side): Readonly<Partial<Record<string, string>>> {
  return { ...serviceSettings(`execplane-${side}.service`), ...environment() };
}

function nothingHere(): CliError {
  return new CliError('no data directory of a server or an agent was found.', {
    exitCode: 2,
    hint: 'Name one and its directory: "execplane doctor server --data-dir DIR", "execplane doctor agent --agent-dir DIR".',
  });
}

const COLOURS = { ok: 'green', warn: 'yellow', fail: 'red' } as const;

function linesOf({ side, check, state, message, remedy }: Finding & { side: Side }): string {
  const padded = state.padEnd(4);
  const shown = wantsColour() ? styleText(COLOURS[state], padded) : padded;
  return `${shown}  ${side} ${check}: ${message}.${remedy === undefined ? '' : ` ${remedy}`}\n`;
}
