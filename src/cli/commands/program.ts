import { Command, CommanderError } from 'commander';
import { packageVersion } from '../../node/version.ts';
import { environment } from '../config.ts';
import { EXECPLANE_FAILED } from '../exec/exit-code.ts';
import { tell } from '../terminal/failure.ts';
import { keepHangupIgnored } from '../hangup.ts';
import { hideSecrets } from '../hide-secrets.ts';
import { assertArgumentsAreText } from '../raw-arguments.ts';
import { terminalStream } from '../streams/descriptor.ts';
import { print, printError, ReaderGoneError } from '../streams/output.ts';

export interface CommandEntry {
  name: string;
  summary: string;
  load: () => Promise<() => Command | Promise<Command>>;
}

/** Every command, each in a file that is loaded only if that command is called. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'up',
    summary: 'run a server, and an agent for this machine',
    load: async () => (await import('./host/up.ts')).upCommand,
  },
  {
    name: 'server',
    summary: 'run the server (the control plane)',
    load: async () => (await import('./host/server.ts')).serverCommand,
  },
  {
    name: 'agent',
    summary: 'run the agent of this machine',
    load: async () => (await import('./host/agent.ts')).agentCommand,
  },
  {
    name: 'exec',
    summary: 'run a command on a machine',
    load: async () => (await import('./exec.ts')).execCommand,
  },
  {
    name: 'shell',
    summary: 'open a shell on a machine',
    load: async () => (await import('./shell.ts')).shellCommand,
  },
  {
    name: 'machines',
    summary: 'add, list, wake and remove machines',
    load: async () => (await import('./machines.ts')).machinesCommand,
  },
  {
    name: 'executions',
    summary: 'list, show, follow and cancel executions',
    load: async () => (await import('./executions.ts')).executionsCommand,
  },
  {
    name: 'batches',
    summary: 'list, show and cancel batches: commands on many machines',
    load: async () => (await import('./batches/batches.ts')).batchesCommand,
  },
  {
    name: 'schedules',
    summary: 'create, list and change schedules, which run commands repeatedly',
    load: async () => (await import('./batches/schedules.ts')).schedulesCommand,
  },
  {
    name: 'cp',
    summary: 'copy files to or from a machine',
    load: async () => (await import('./cp.ts')).cpCommand,
  },
  {
    name: 'mcp',
    summary: 'serve the Model Context Protocol to a model',
    load: async () => (await import('./mcp.ts')).mcpCommand,
  },
  {
    name: 'keys',
    summary: 'make, list and revoke API keys',
    load: async () => (await import('./keys.ts')).keysCommand,
  },
  {
    name: 'tokens',
    summary: 'make, list and revoke join tokens of agents',
    load: async () => (await import('./tokens.ts')).tokensCommand,
  },
  {
    name: 'artifacts',
    summary: 'list, download and delete artifacts',
    load: async () => (await import('./artifacts.ts')).artifactsCommand,
  },
  { name: 'audit', summary: 'list the audit trail', load: async () => (await import('./audit.ts')).auditCommand },
  {
    name: 'status',
    summary: 'show whether the server is ready, and its machines',
    load: async () => (await import('./status.ts')).statusCommand,
  },
  {
    name: 'backup',
    summary: 'back up the data of a server on this host',
    load: async () => (await import('./host/backup.ts')).backupCommand,
  },
  {
    name: 'restore',
    summary: 'restore a backup on this host',
    load: async () => (await import('./host/restore.ts')).restoreCommand,
  },
  {
    name: 'migrate-to-postgres',
    summary: 'move the data of a server on this host to PostgreSQL',
    load: async () => (await import('./host/migrate-to-postgres.ts')).migrateToPostgresCommand,
  },
  {
    name: 'doctor',
    summary: 'check the server or agent on this host',
    load: async () => (await import('./host/doctor.ts')).doctorCommand,
  },
  {
    name: 'login',
    summary: 'store the address of a server and an API key for this user',
    load: async () => (await import('./login.ts')).loginCommand,
  },
  {
    name: 'completion',
    summary: 'print a completion script for your shell',
    load: async () => {
      const { completionCommand } = await import('./completion.ts');
      return () => completionCommand(COMMANDS);
    },
  },
];

/** Commands in the order of `--help`. */
export const COMMAND_NAMES = COMMANDS.map(({ name }) => name);

/** Commands that exit with the code of the program that they run. Failures of Execplane have another code. */
const EXIT_AS_THERE = new Set(['exec', 'shell']);

const HELP_WIDTH = 80;
const EXAMPLES = `
Examples:
  execplane up                                  server and agent on this machine
  execplane machines ls                         the machines and whether they are connected
  execplane exec dm-web-1 -- uname -a           run a command there
  execplane shell dm-web-1                      a shell there
  execplane executions logs -f dm-web-1 ID      follow what another command prints

Every setting is an environment variable with a flag of the same name: EXECPLANE_DATA_DIR is --data-dir.`;

/** Runs the CLI with these arguments. Failures are printed to stderr and set the exit code (2: wrong usage or setting). */
export async function run(args: readonly string[]): Promise<void> {
  const normalizedArgs = normalized(args);
  keepHangupIgnored();
  try {
    assertArgumentsAreText(args, environment());
    hideSecrets(args, environment());
    const program = await buildProgram(normalizedArgs[0]);
    await program.parseAsync(normalizedArgs, { from: 'user' });
  } catch (error) {
    process.exitCode = report(error, normalizedArgs);
  }
}

/** Converts `help X` to `X --help`, so that only the called command is loaded. A switch takes no value. */
function normalized(args: readonly string[]): string[] {
  const argv = args[0] === 'help' && args.length > 1 ? [...args.slice(1), '--help'] : args;
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  return argv.flatMap((arg, at) => {
    if (at >= end) return [arg];
    if (arg === '--insecure') return /^(true|false|0|1)$/.test(argv[at + 1] ?? '') ? [arg] : ['--insecure=true'];
    return [arg];
  });
}

/** Builds the program with the called command, and stubs of the others for `--help`. */
async function buildProgram(commandName: string | undefined): Promise<Command> {
  const program = new Command('execplane')
    .description('Run commands on your machines over HTTP, with results you can trust.')
    .version(packageVersion(), '-V, --version')
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError('(see --help)')
    .configureOutput({
      writeOut: print,
      writeErr: printError,
      getOutHelpWidth: () => terminalStream('stdout')?.columns ?? HELP_WIDTH,
      getErrHelpWidth: () => terminalStream('stderr')?.columns ?? HELP_WIDTH,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .exitOverride();
  for (const { name, summary, load } of COMMANDS) {
    const command = name === commandName ? await (await load())() : new Command(name);
    program.addCommand(command.summary(summary));
    inheritSettings(program, command);
  }
  return program;
}

/** Copies the settings that commander passes only to commands that it creates itself. */
function inheritSettings(parent: Command, command: Command): void {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inheritSettings(command, child);
}

function report(error: unknown, args: readonly string[]): number {
  if (error instanceof CommanderError) {
    // Commander has printed it already.
    if (error.code === 'commander.unknownOption' && args[0] === 'exec' && !args.includes('--')) {
      printError('Put the options of the command after "--": execplane exec MACHINE -- ls -l\n');
    }
    return error.exitCode === 0 ? 0 : 2;
  }
  if (error instanceof ReaderGoneError) return 0;
  if (!(error instanceof Error)) throw error;
  const exitCode = tell(error);
  return exitCode === 1 && EXIT_AS_THERE.has(args[0] ?? '') ? EXECPLANE_FAILED : exitCode;
}
