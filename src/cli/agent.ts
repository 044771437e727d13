import { Command } from 'commander';
import { addSettingOptions } from './setting-options.ts';

const EXAMPLES = `
Examples:
  EXECPLANE_URL=https://execplane.example.com EXECPLANE_JOIN_TOKEN=xpj_… execplane agent
  execplane agent --join-token-file /run/secrets/join-token
  execplane agent stop                          end it, and every command it runs

SIGTERM detaches: commands run on, and the next agent on the same directory picks them up.
SIGINT (Ctrl-C) ends everything, as "agent stop" does.`;

/** `execplane agent`, and `execplane agent stop`. */
export async function agentCommand(): Promise<Command> {
  const { AGENT_SETTINGS, readAgentConfig, runAgent, stopAgent } = await import('../agent/main.ts');
  const command = addSettingOptions(new Command('agent'), AGENT_SETTINGS)
    .description('Run the agent of this machine: it dials out to the server and runs the commands that come.')
    .addHelpText('after', EXAMPLES)
    .action((flags: Record<string, string>) => runAgent(readAgentConfig(flags)));
  command
    .command('stop')
    .description('End the agent and every command it runs; returns when all are gone.')
    .addHelpText('after', '\nExamples:\n  execplane agent stop --agent-dir /var/lib/execplane-agent')
    .option('--agent-dir <value>', 'State directory of the agent. (EXECPLANE_AGENT_DIR, default ./agent)')
    .action(async (_flags, stop: Command) => {
      const { dir } = readAgentConfig(stop.optsWithGlobals<Record<string, string>>());
      const result = await stopAgent(dir);
      process.stdout.write(result === 'stopped' ? `The agent of ${dir} has stopped.\n` : `No agent runs on ${dir}.\n`);
    });
  return command;
}
