import { Command } from 'commander';
import { addSettingOptions } from './setting-options.ts';

const EXAMPLES = `
Examples:
  execplane up
  execplane up --port 8080 --data-dir /var/lib/execplane --agent-dir /var/lib/execplane-agent

Ctrl-C ends all of it: the commands, the agent, the server.`;

/** `execplane up`: server and agent, as `npm start` runs them. */
export async function upCommand(): Promise<Command> {
  const [server, agent] = await Promise.all([import('../server/main.ts'), import('../agent/main.ts')]);
  return addSettingOptions(new Command('up'), server.SERVER_SETTINGS, agent.AGENT_SETTINGS)
    .description('Run a server, and an agent for this machine, until Ctrl-C.')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: Record<string, string>) => {
      const { runUp } = await import('./run-up.ts');
      await runUp(flags, { ...server, ...agent });
    });
}
