import { type Command, InvalidArgumentError } from 'commander';
import { apiOf, clientCommand } from '../client-command.ts';
import { parseDuration } from '../terminal/duration.ts';
import { type ExecRequest, runExec } from '../exec/run-exec.ts';

const DESCRIPTION = [
  'Run a command on a machine. Its output comes as it is written, stdin goes to it as it comes, and its exit code is the',
  'exit code here: 128+N for a signal, 124 for a timeout, 125 where Execplane itself failed, 126 and 127 as in a shell.',
  'Ctrl-C cancels it (130); a second one leaves at once.',
].join(' ');

const EXAMPLES = `  execplane exec dm-web-1 -- uname -a
  execplane exec dm-web-1 --cwd /srv/app --env MODE=ci --timeout 10m -- make test
  tar cz . | execplane exec dm-web-1 -- tar xz -C /srv/app
  execplane exec dm-web-1 --json -- true          the final Execution as JSON, without the output`;

interface ExecFlags {
  cwd?: string;
  env?: Record<string, string>;
  timeout?: number;
  user?: string;
  stdin: boolean;
  json?: true;
}

/** `execplane exec MACHINE -- ARGV…`. */
export function execCommand(): Command {
  return clientCommand('exec <MACHINE> <ARGV...>', DESCRIPTION, EXAMPLES)
    .usage('[options] MACHINE -- ARGV...')
    .option('--cwd <DIRECTORY>', 'working directory (default: the home of the user)')
    .option('--env <NAME=VALUE>', 'environment variable; may be given again', collectEnv)
    .option('--timeout <DURATION>', 'kill it after so long, as 30s or 5m', parseDuration)
    .option('--user <USER>', 'run as this user, where the machine allows it')
    .option('--no-stdin', 'give it no stdin: it reads end-of-file')
    .option('--json', 'print the final Execution as JSON instead of the output')
    .action(async (machineId: string, argv: string[], flags: ExecFlags) => {
      const request: ExecRequest = { command: argv };
      if (flags.cwd !== undefined) request.cwd = flags.cwd;
      if (flags.env !== undefined) request.env = flags.env;
      if (flags.timeout !== undefined) request.timeout_ms = flags.timeout;
      if (flags.user !== undefined) request.user = flags.user;
      const code = await runExec(apiOf(flags), machineId, request, { stdin: flags.stdin, json: flags.json === true });
      // stdin may stay open for ever: it is not waited for.
      process.exit(code);
    });
}

function collectEnv(text: string, before: Record<string, string> | undefined): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Write it as NAME=VALUE.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}
