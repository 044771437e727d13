import { Command, Option } from 'commander';
import { CliError } from '../../cli-error.ts';
import { addSettingOptions } from '../../setting-options.ts';
import { print } from '../../streams/output.ts';
import { durationOption } from '../../terminal/duration.ts';

const AGENT_DIR = [
  '--agent-dir <value>',
  'State directory of the agent. (EXECPLANE_AGENT_DIR, default ./agent)',
] as const;
const EXAMPLES = `
Examples:
  EXECPLANE_URL=https://execplane.example.com EXECPLANE_JOIN_TOKEN=xpj_… execplane agent
  execplane agent --join-token-file /run/secrets/join-token
  execplane agent stop                          stop it, and every command that it runs
  execplane agent upgrade --to PACKAGES         replace it by another version while commands run

SIGTERM stops only the agent: its commands keep running, and the next agent on the same directory continues with them.
SIGINT (Ctrl-C) also ends the commands, as "agent stop" does.`;

const UPGRADE_EXAMPLES = `
Examples:
  execplane agent upgrade --agent-dir /var/lib/execplane-agent/state --to ./packages
  execplane agent upgrade --agent-dir /var/lib/execplane-agent/state --to execplane-agent-0.2.0-linux-x64.tar.gz
  execplane agent upgrade --agent-dir /var/lib/execplane-agent/state --to /opt/execplane-agent-0.2.0

For an agent from the Debian packages, --to is a folder with packages. For an agent from a tarball, it is a tarball, or the
folder where a tarball is unpacked. Only the link process is replaced: the runner keeps the commands. If the new version does
not connect to the server in time (--within), the old version is put back, and the exit code is 1.`;
const DEFAULT_WITHIN_MS = 60_000;

/** `execplane agent`, `execplane agent stop` and `execplane agent upgrade`. */
export async function agentCommand(): Promise<Command> {
  const { AGENT_SETTINGS, readAgentConfig, runAgent, stopAgent, upgradeAgent } = await import('../../../agent/main.ts');
  const command = addSettingOptions(new Command('agent'), AGENT_SETTINGS)
    .description('Run the agent of this machine: it connects to the server and runs commands.')
    .addHelpText('after', EXAMPLES)
    .action((flags: Record<string, string>) => runAgent(readAgentConfig(flags)));
  command
    .command('stop')
    .description('Stop the agent and every command that it runs. Returns when all of them have ended.')
    .addHelpText('after', '\nExamples:\n  execplane agent stop --agent-dir /var/lib/execplane-agent/state')
    .option(...AGENT_DIR)
    .action(async (_flags, stop: Command) => {
      const { dir } = readAgentConfig(stop.optsWithGlobals<Record<string, string>>());
      const result = await stopAgent(dir);
      if (result !== 'stopped') {
        throw new CliError(`no agent runs in ${dir}.`, {
          hint: 'Name its directory with --agent-dir. The packages use /var/lib/execplane-agent/state.',
        });
      }
      print(`The agent of ${dir} has stopped.\n`);
    });
  command
    .command('upgrade')
    .description(
      'Replace the agent by another version while commands run. If the new version does not work, the old one is put back.',
    )
    .addHelpText('after', UPGRADE_EXAMPLES)
    .requiredOption('--to <PATH>', 'the new version: a folder with packages, a tarball, or a folder with the program')
    .addOption(
      new Option('--within <DURATION>', 'time within which the new version has to be connected')
        .default(DEFAULT_WITHIN_MS, '60s')
        .argParser(durationOption),
    )
    .option(...AGENT_DIR)
    .action(async ({ to, within }: { to: string; within: number }, upgrade: Command) => {
      const { dir } = readAgentConfig(upgrade.optsWithGlobals<Record<string, string>>());
      await upgradeAgent({ dir, to, withinMs: within, say: (text) => print(`${text}\n`) });
    });
  return command;
}
