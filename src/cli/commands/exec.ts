import { type Command, InvalidArgumentError, Option } from 'commander';
import type { StartOptions } from '../../client/main.ts';
import { clientCommand, clientOf } from '../client-command.ts';
import { environmentVariable, readEnvironmentFile } from '../exec/environment.ts';
import { addLimitOptions, limitsOf } from '../exec/limits.ts';
import { batchRequest, type BatchFlags } from '../exec/batch-request.ts';
import { runBatch } from '../exec/run-batch.ts';
import { runExec, startDetached } from '../exec/run-exec.ts';
import { isSameTerminal } from '../streams/descriptor.ts';
import { hasStdin } from '../streams/input.ts';
import { print } from '../streams/output.ts';
import { assertTerminal, terminalEnvironment, terminalSize } from '../terminal/raw-terminal.ts';
import { durationOption } from '../terminal/duration.ts';
import { labelsWith } from '../terminal/labels.ts';
import { parseCount, parseWholeNumber } from '../terminal/list.ts';

const DESCRIPTION = [
  'Run a command on a machine. Output and stdin are passed on as they come. exec exits with the exit code of the command:',
  '128+N if signal N ended it, 124 after --timeout, 125 if Execplane itself failed, 126 and 127 as in a shell.',
  'Ctrl-C cancels the command (130); a second Ctrl-C leaves at once. With --label, every machine that has the labels runs it.',
].join(' ');

const EXAMPLES = `  execplane exec dm-web-1 -- uname -a
  execplane exec dm-web-1 -w /srv/app -e MODE=ci --timeout 10m -- make test
  tar cz . | execplane exec dm-web-1 -- tar xz -C /srv/app
  execplane exec -it dm-web-1 -- vim /etc/hosts   at this terminal
  execplane exec dm-web-1 --json -- true          the ended execution as JSON, without the output
  execplane exec --label role=web --concurrency 5 -- systemctl reload nginx`;

const DEFAULT_WAIT_MS = 10_000;

interface ExecFlags extends BatchFlags {
  stdin: boolean;
  tty?: boolean;
}

/** `execplane exec`. */
export function execCommand(): Command {
  const command = clientCommand('exec <MACHINE> [ARGV...]', DESCRIPTION, EXAMPLES)
    .usage('[options] MACHINE -- ARGV...\n       execplane exec [options] --label KEY=VALUE -- ARGV...')
    .option('-w, --cwd <DIRECTORY>', 'working directory (default: the home of the user)')
    .option('-e, --env <NAME=VALUE>', 'environment variable; NAME alone copies the local value; repeatable', collectEnv)
    .option('--env-file <FILE>', 'file of environment variables, one NAME=VALUE per line; repeatable', collectEnvFile)
    .option('--timeout <DURATION>', 'kill the command after this time, such as 30s or 5m', durationOption)
    .option('-u, --user <USER>', 'run as this user, if the machine allows it')
    .option('-i, --interactive', 'keep stdin of the command open, even if local stdin is /dev/null')
    .addOption(
      new Option(
        '-t, --tty',
        'run the command on a terminal, as ssh -t does: it gets every key, Ctrl-C too; ~. cancels it',
      ).conflicts(['json', 'label']),
    )
    .option('--no-stdin', 'give the command no stdin: it reads end-of-file')
    .option('-d, --detach', 'leave the command running, and print the execution id')
    .addOption(
      new Option('--wait <DURATION>', 'how long to wait for an offline machine')
        .default(DEFAULT_WAIT_MS, '10s')
        .argParser(durationOption),
    )
    .option('--artifact <GLOB>', 'keep these files below the working directory as artifacts; repeatable', collect)
    .option(
      '--download <DIRECTORY>',
      'save the artifacts in this directory: files of --artifact, and files in $ARTIFACTS_DIR',
    )
    .option('--json', 'print the ended execution, or batch, as JSON instead of the output')
    .option('--label <KEY=VALUE>', 'run on all machines with this label, instead of MACHINE; repeatable', labelsWith)
    .option('--concurrency <N>', 'with --label: how many machines run it at once (default: 10)', parseCount)
    .option(
      '--max-failures <N>',
      'with --label: start it on no more machines after more failures than this (default: no limit)',
      parseWholeNumber,
    );
  return addLimitOptions(command).action(
    async (machineId: string, command: string[], flags: ExecFlags, self: Command) => {
      const client = clientOf(flags);
      const batch = batchRequest([machineId, ...command], flags);
      if (batch !== undefined) process.exit(await runBatch(client, batch, flags));
      if (flags.tty && !flags.detach) assertTerminal('-t needs a terminal');
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
      // stdin may stay open forever, so it is not awaited.
      process.exit(await runExec(client, request));
    },
  );
}

function startOptions(flags: ExecFlags): StartOptions {
  const limits = limitsOf(flags);
  const forwards = flags.detach !== true && flags.stdin && (flags.interactive === true || hasStdin());
  return {
    stdin: forwards ? 'open' : 'none',
    // At a terminal the order of the two streams matters most; for a program, every byte does.
    output: flags.detach || flags.json || (isSameTerminal() && !flags.tty) ? 'keep' : 'stream',
    ...(flags.tty ? { tty: terminalSize() } : {}),
    ...(flags.cwd === undefined ? {} : { cwd: flags.cwd }),
    env: { ...(flags.tty ? terminalEnvironment() : {}), ...flags.envFile, ...flags.env },
    ...(flags.timeout === undefined ? {} : { timeoutMs: flags.timeout }),
    ...(flags.user === undefined ? {} : { user: flags.user }),
    ...(limits === undefined ? {} : { limits }),
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
