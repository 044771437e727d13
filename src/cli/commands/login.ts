import { resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { Command } from 'commander';
import { RefusedError } from '../../client/main.ts';
import { CliError } from '../cli-error.ts';
import { clientCommand, clientFor } from '../client-command.ts';
import { configOf, loginFile, readLoginTarget } from '../config.ts';
import { type Login, writeLogin } from '../login-file.ts';
import { print, printError } from '../streams/output.ts';

const DESCRIPTION = 'Store the address of a server and an API key in a file of this user (mode 0600).';
const EXAMPLES = `  execplane login --url https://execplane.example.com     prompts for the key
  execplane login --url https://execplane.example.com < key-file`;

/** `execplane login`. */
export function loginCommand(): Command {
  return clientCommand('login', DESCRIPTION, EXAMPLES).action(async (flags: Record<string, string>) => {
    const { url, caFile, insecure } = readLoginTarget(flags);
    const login: Login = {
      url: url?.href ?? (await ask('Server URL: ', 'shown')),
      apiKey: flags['apiKey'] ?? (await ask('API key (not shown): ', 'hidden')),
      ...(caFile === undefined ? {} : { caFile: resolve(caFile) }),
      ...(insecure === true ? { insecure } : {}),
    };
    if (login.apiKey === '')
      throw new CliError('no key was given.', { exitCode: 2, hint: 'Make one with "execplane keys create".' });
    await tryOut(login);
    const file = loginFile();
    writeLogin(file, login);
    print(`The key works. It is stored in ${file}.\n`);
  });
}

async function tryOut(login: Login): Promise<void> {
  const config = configOf(login);
  try {
    await clientFor({ ...config, attempts: 1 }).machines.list({ limit: 1 });
  } catch (cause) {
    if (!(cause instanceof RefusedError)) throw cause;
    // A key that may not list machines is valid all the same.
    if (cause.status === 403) return;
    if (cause.status !== 401) throw cause;
    throw new CliError(`${config.url.origin} refuses this key; nothing was stored.`, {
      cause,
      hint: 'Make one with "execplane keys create NAME" on the host of the server, or with a key that has the scope admin.',
    });
  }
}

/** Reads a line from stdin. At a terminal it prompts for the line; a hidden one is not echoed. */
async function ask(question: string, mode: 'shown' | 'hidden'): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = process.stdin.isTTY === true;
  if (terminal && mode === 'hidden') printError(question);
  const lines = createInterface({
    input: process.stdin,
    output: mode === 'hidden' ? silent : process.stderr,
    terminal,
  });
  try {
    const prompt = terminal && mode === 'shown' ? question : '';
    const closed = new Promise<string>((done) => lines.once('close', () => done('')));
    return (await Promise.race([lines.question(prompt), closed])).trim();
  } finally {
    lines.close();
    if (terminal && mode === 'hidden') printError('\n');
  }
}
