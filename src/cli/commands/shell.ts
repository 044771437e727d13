import { type Command, Option } from 'commander';
import { clientCommand, clientFor } from '../client-command.ts';
import { type ClientFlags, readClientConfig } from '../config.ts';
import { runShell } from '../shell/run-shell.ts';
import { durationOption } from '../terminal/duration.ts';
import { assertTerminal, terminalEnvironment } from '../terminal/raw-terminal.ts';
import { webSocketFor } from '../web-socket.ts';

const DESCRIPTION = [
  'Open a shell on a machine, at this terminal. If the connection breaks, the shell keeps running, and execplane reconnects to it. It exits with the',
  'exit code of the shell. At the start of a line: ~. closes the shell, ~d leaves it running, ~~ sends a tilde, ~? shows this list.',
].join(' ');

const EXAMPLES = `  execplane shell dm-web-1
  execplane shell dm-web-1 -u deploy -w /srv/app
  execplane shell dm-web-1 --attach term-m3k9      return to a shell left with ~d`;

const DEFAULT_WAIT_MS = 10_000;

interface ShellFlags extends ClientFlags {
  attach?: string;
  cwd?: string;
  user?: string;
  shell?: string;
  wait: number;
}

/** `execplane shell`. */
export function shellCommand(): Command {
  return clientCommand('shell <MACHINE>', DESCRIPTION, EXAMPLES)
    .option('--attach <TERMINAL>', 'return to this shell, which was left with ~d')
    .option('-w, --cwd <DIRECTORY>', 'directory in which the shell starts (default: the home of the user)')
    .option('-u, --user <USER>', 'run as this user, if the machine allows it')
    .option('--shell <PROGRAM>', 'the shell (default: the login shell of the user)')
    .addOption(
      new Option('--wait <DURATION>', 'how long to wait for an offline machine')
        .default(DEFAULT_WAIT_MS, '10s')
        .argParser(durationOption),
    )
    .action(async (machineId: string, flags: ShellFlags) => {
      assertTerminal('A shell needs a terminal');
      const { attach, cwd, user, shell, wait } = flags;
      const options = {
        env: terminalEnvironment(),
        ...(cwd === undefined ? {} : { cwd }),
        ...(user === undefined ? {} : { user }),
        ...(shell === undefined ? {} : { shell }),
      };
      const config = readClientConfig(flags);
      const request = { machineId, options, waitMs: wait, ...(attach === undefined ? {} : { attach }) };
      process.exit(await runShell(clientFor(config, { webSocket: webSocketFor(config) }), request));
    });
}
