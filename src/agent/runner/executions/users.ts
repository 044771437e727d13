/** Users and groups as the system knows them, directories such as LDAP included: asked of getent(1) and id(1). */
import { execFile } from 'node:child_process';

/** A directory that does not answer by then has no such user. */
const TIMEOUT_MS = 20_000;
const SYSTEM_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';
/** What a name can't be: an option, a line of its own, or several fields. */
const NO_NAME = /^$|^-|[\p{Cc}:]/u;

export interface User {
  name: string;
  uid: number;
  gid: number;
  home: string;
  shell: string;
}

/** The user of this name; undefined if there is none. A number is no name. */
export async function findUser(name: string): Promise<User | undefined> {
  if (NO_NAME.test(name)) return undefined;
  const line = await ask('getent', ['passwd', name]);
  const [user, , uid, gid, , home, shell] = line?.trimEnd().split(':') ?? [];
  if (user !== name || !isId(uid) || !isId(gid)) return undefined;
  return { name, uid: Number(uid), gid: Number(gid), home: home || '/', shell: shell || '/bin/sh' };
}

/** The ids of the groups that a user is in, the primary one first. */
export async function findGroups(user: User): Promise<number[]> {
  const ids = (await ask('id', ['-G', '--', user.name]))?.trim().split(' ') ?? [];
  return [...new Set([user.gid, ...ids.filter(isId).map(Number)])];
}

function isId(text: string | undefined): text is string {
  return text !== undefined && /^\d+$/.test(text);
}

/** What the program prints; undefined if it fails. */
function ask(program: string, args: string[]): Promise<string | undefined> {
  const options = { env: { PATH: SYSTEM_PATH }, timeout: TIMEOUT_MS, encoding: 'utf8' as const };
  return new Promise((resolve) => {
    execFile(program, args, options, (error, stdout) => resolve(error ? undefined : stdout));
  });
}
