/** Looks up users and groups of the system, directories such as LDAP included, with getent(1) and id(1). */
import { execFile } from 'node:child_process';

/** Time limit for an answer of a directory service, ms. Without an answer the user does not exist. */
const TIMEOUT_MS = 20_000;
const SYSTEM_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';
/** Names that are not looked up: an option, several lines, or several fields. */
const NO_NAME = /^$|^-|[\p{Cc}:]/u;

export interface User {
  name: string;
  uid: number;
  gid: number;
  home: string;
  shell: string;
}

/** Returns the user of this name. Undefined if there is none. A number is not a name. */
export async function findUser(name: string): Promise<User | undefined> {
  if (NO_NAME.test(name)) return undefined;
  const line = await ask('getent', ['passwd', name]);
  const [user, , uid, gid, , home, shell] = line?.trimEnd().split(':') ?? [];
  if (user !== name || !isId(uid) || !isId(gid)) return undefined;
  return { name, uid: Number(uid), gid: Number(gid), home: home || '/', shell: shell || '/bin/sh' };
}

/** Returns the ids of the groups that a user is in, the primary one first. */
export async function findGroups(user: User): Promise<number[]> {
  const ids = (await ask('id', ['-G', '--', user.name]))?.trim().split(' ') ?? [];
  return [...new Set([user.gid, ...ids.filter(isId).map(Number)])];
}

function isId(text: string | undefined): text is string {
  return text !== undefined && /^\d+$/.test(text);
}

/** Returns the program's stdout. Undefined if it fails. */
function ask(program: string, args: string[]): Promise<string | undefined> {
  const options = { env: { PATH: SYSTEM_PATH }, timeout: TIMEOUT_MS, encoding: 'utf8' as const };
  return new Promise((resolve) => {
    execFile(program, args, options, (error, stdout) => resolve(error ? undefined : stdout));
  });
}
