import { Command } from 'commander';
import { addSettingOptions } from '../../setting-options.ts';

const EXAMPLES = `
Examples:
  execplane up
  execplane up --port 8080 --data-dir /var/lib/execplane --agent-dir /var/lib/execplane-agent

Ctrl-C ends the commands, the agent and the server.`;

/** `execplane up`: runs server and agent, as `npm start` does. */
export async function upCommand(): Promise<Command> {
  const { AGENT_SETTINGS, runUp, SERVER_SETTINGS } = await import('../../up/run-up.ts');
  return addSettingOptions(new Command('up'), SERVER_SETTINGS, AGENT_SETTINGS)
    .description('Run a server, and an agent for this machine, until Ctrl-C.')
    .addHelpText('after', EXAMPLES)
    .action(runUp);
}
