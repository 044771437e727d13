import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { Command } from 'commander';
import { ApiFailure } from '../http/api-failure.ts';
import { CliError } from '../cli-error.ts';
import { clientCommand } from '../client-command.ts';
import { loginFile, readClientConfig, readGivenUrl } from '../config.ts';
import { Api } from '../http/http.ts';

const DESCRIPTION = 'Keep the address of a server and a key for it in a file of this user (0600).';
const EXAMPLES = `  execplane login --url https://execplane.example.com     asks for the key
  execplane login --url https://execplane.example.com < key-file`;

/** `execplane login`. */
export function loginCommand(): Command {
  return clientCommand('login', DESCRIPTION, EXAMPLES).action(async (flags: Record<string, string>) => {
    const url = readGivenUrl(flags)?.href ?? (await ask('Server URL: ', 'shown'));
    const apiKey = flags['apiKey'] ?? (await ask('API key (not shown): ', 'hidden'));
    if (apiKey === '') throw new CliError('no key was given.', { exitCode: 2 });
    const config = readClientConfig({ ...flags, url, apiKey });
    await new Api(config).json('GET', '/v1/machines', { query: { limit: 1 }, attempts: 1 }).catch((cause: unknown) => {
      if (!(cause instanceof ApiFailure) || cause.status !== 401) throw cause;
      throw new CliError(`${config.url.origin} does not take this key; nothing was kept.`, {
        cause,
        hint: 'Make one with "execplane keys create NAME" where the server runs, or with a key that may.',
      });
    });
    const file = loginFile();
    keep(file, { url: config.url.href, api_key: apiKey });
    process.stdout.write(`The key works. Kept in ${file}.\n`);
  });
}

function keep(file: string, login: { url: string; api_key: string }): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const next = `${file}.${process.pid}.new`;
  writeFileSync(next, `${JSON.stringify(login, null, 2)}\n`, { mode: 0o600 });
  chmodSync(next, 0o600);
  renameSync(next, file);
}

/** A line from stdin; at a terminal it is asked for, and a hidden one is not echoed. */
async function ask(question: string, mode: 'shown' | 'hidden'): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = process.stdin.isTTY === true;
  if (terminal && mode === 'hidden') process.stderr.write(question);
  const lines = createInterface({
    input: process.stdin,
    output: mode === 'hidden' ? silent : process.stderr,
    terminal,
  });
  try {
    const prompt = terminal && mode === 'shown' ? question : '';
    const closed = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
    return (await Promise.race([lines.question(prompt), closed])).trim();
  } finally {
    lines.close();
    if (terminal && mode === 'hidden') process.stderr.write('\n');
  }
}
