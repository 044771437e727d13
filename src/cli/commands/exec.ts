import { type Command, InvalidArgumentError } from 'commander';
import type { StartOptions } from '../../client/main.ts';
import { clientCommand, clientOf } from '../client-command.ts';
import { environmentVariable, readEnvironmentFile } from '../exec/environment.ts';
import { batchRequest, type BatchFlags } from '../exec/batch-request.ts';
import { runBatch } from '../exec/run-batch.ts';
import { runExec, startDetached } from '../exec/run-exec.ts';
import { isSameTerminal } from '../streams/descriptor.ts';
import { hasStdin } from '../streams/input.ts';
import { print } from '../streams/output.ts';
import { parseDuration } from '../terminal/duration.ts';
import { labelsWith } from '../terminal/labels.ts';
import { parseCount, parseWholeNumber } from '../terminal/list.ts';

const DESCRIPTION = [
  'Run a command on a machine. Its output comes as it is written, stdin goes to it as it comes, and its exit code is the',
  'exit code here: 128+N for a signal, 124 for a timeout, 125 if Execplane itself failed, 126 and 127 as in a shell.',
  'Ctrl-C cancels it (130); a second one leaves at once. With --label it runs on every machine that has the labels.',
].join(' ');

const EXAMPLES = `  execplane exec dm-web-1 -- uname -a
  execplane exec dm-web-1 -w /srv/app -e MODE=ci --timeout 10m -- make test
  tar cz . | execplane exec dm-web-1 -- tar xz -C /srv/app
  execplane exec dm-web-1 --json -- true          the final Execution as JSON, without the output
  execplane exec --label role=web --concurrency 5 -- systemctl reload nginx`;

const DEFAULT_WAIT_MS = 10_000;

interface ExecFlags extends BatchFlags {
  stdin: boolean;
}

/** `execplane exec`. */
export function execCommand(): Command {
  return clientCommand('exec <MACHINE> [ARGV...]', DESCRIPTION, EXAMPLES)
    .usage('[options] MACHINE -- ARGV...\n       execplane exec [options] --label KEY=VALUE -- ARGV...')
    .option('-w, --cwd <DIRECTORY>', 'working directory (default: the home of the user)')
    .option(
      '-e, --env <NAME=VALUE>',
      'environment variable; NAME alone takes its value from here; repeatable',
      collectEnv,
    )
    .option('--env-file <FILE>', 'environment variables, NAME=VALUE a line; repeatable', collectEnvFile)
    .option('--timeout <DURATION>', 'kill it after so long, as 30s or 5m', parseDuration)
    .option('-u, --user <USER>', 'run as this user, if the machine allows it')
    .option('-i, --interactive', 'keep its stdin open, even if stdin here is /dev/null')
    .option('--no-stdin', 'give it no stdin: it reads end-of-file')
    .option('-d, --detach', 'leave it running, and print the id of the execution')
    .option(
      '--wait <DURATION>',
      'how long to wait for a machine that is away (default: 10s)',
      parseDuration,
      DEFAULT_WAIT_MS,
    )
    .option('--artifact <GLOB>', 'keep these files of its working directory; repeatable', collect)
    .option('--download <DIRECTORY>', 'save there what it leaves: --artifact, and what is in its $ARTIFACTS_DIR')
    .option('--json', 'print the final Execution, or Batch, as JSON instead of the output')
    .option('--label <KEY=VALUE>', 'run on all machines with this label, and name none; repeatable', labelsWith)
    .option('--concurrency <N>', 'with --label: on so many machines at once (default: 10)', parseCount)
    .option('--max-failures <N>', 'with --label: cancel the rest when it has failed on more', parseWholeNumber)
    .action(async (machineId: string, command: string[], flags: ExecFlags, self: Command) => {
      const client = clientOf(flags);
      const batch = batchRequest([machineId, ...command], flags);
      if (batch !== undefined) process.exit(await runBatch(client, batch, flags));
      if (command.length === 0) self.error("error: missing required argument 'ARGV'");
      const request = {
        machineId,
        command,
        options: startOptions(flags),
        waitMs: flags.wait,
        json: flags.json === true,
        ...(flags.download === undefined ? {} : { download: flags.download }),
      };
      if (flags.detach) {
        print(`${await startDetached(client, request)}\n`);
        return;
      }
      // stdin may stay open for ever: it is not waited for.
      process.exit(await runExec(client, request));
    });
}

function startOptions(flags: ExecFlags): StartOptions {
  const forwards = flags.detach !== true && flags.stdin && (flags.interactive === true || hasStdin());
  return {
    stdin: forwards ? 'open' : 'none',
    // At a terminal the order of the two streams counts for more; a program wants every byte.
    output: flags.detach || flags.json || isSameTerminal() ? 'keep' : 'stream',
    ...(flags.cwd === undefined ? {} : { cwd: flags.cwd }),
    env: { ...flags.envFile, ...flags.env },
    ...(flags.timeout === undefined ? {} : { timeoutMs: flags.timeout }),
    ...(flags.user === undefined ? {} : { user: flags.user }),
    ...(flags.artifact === undefined ? {} : { artifacts: flags.artifact.map((path) => ({ path })) }),
  };
}

function collect(text: string, before: string[] = []): string[] {
  return [...before, text];
}

function collectEnv(text: string, before: Record<string, string> | undefined): Record<string, string> {
  const [name, value] = environmentVariable(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError('Write it as NAME=VALUE.');
  return value === undefined ? { ...before } : { ...before, [name]: value };
}

function collectEnvFile(file: string, before: Record<string, string> | undefined): Record<string, string> {
  return { ...before, ...readEnvironmentFile(file) };
}
