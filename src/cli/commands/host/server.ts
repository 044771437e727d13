import { Command } from 'commander';
import { addSettingOptions } from '../../setting-options.ts';
import { listenFailure } from '../../up/listen-failure.ts';

const EXAMPLES = `
Examples:
  execplane server
  execplane server --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem
  EXECPLANE_DATA_DIR=/var/lib/execplane execplane server`;

/** `execplane server`: runs the control plane alone. */
export async function serverCommand(): Promise<Command> {
  const { SERVER_SETTINGS, readServerConfig, runServer } = await import('../../../server/main.ts');
  return addSettingOptions(new Command('server'), SERVER_SETTINGS)
    .description('Run the server (the control plane) until SIGTERM or SIGINT.')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: Record<string, string>) => {
      const config = readServerConfig(flags);
      await runServer(config).catch((error: unknown) => Promise.reject(listenFailure(error, config)));
    });
}
