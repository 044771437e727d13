import { userInfo } from 'node:os';
import type { User } from './users.ts';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const KEPT = /^(PATH|LANG|TZ|LC_[A-Z]+)$/;

/** The user that the agent runs as, and the parts of the agent's environment that commands get. */
export interface HostUser extends User {
  /** PATH, LANG, LC_* and TZ. No other variable of the agent reaches a command. */
  env: Readonly<Record<string, string>>;
}

/** Returns the user of this process. A user without an entry (a container's number) is described by the environment, as shells do it. */
export function hostUser(env: NodeJS.ProcessEnv): HostUser {
  const kept = Object.entries(env).filter((entry): entry is [string, string] => KEPT.test(entry[0]) && !!entry[1]);
  return { ...whoami(env), env: { PATH: DEFAULT_PATH, ...Object.fromEntries(kept) } };
}

function whoami(env: NodeJS.ProcessEnv): User {
  try {
    const { username, uid, gid, homedir, shell } = userInfo();
    return { name: username, uid, gid, home: homedir, shell: shell ?? '/bin/sh' };
  } catch {
    const { USER: user, HOME: home, SHELL: shell } = env;
    const uid = process.getuid?.() ?? -1;
    return {
      name: user ?? String(uid),
      uid,
      gid: process.getgid?.() ?? -1,
      home: home ?? '/',
      shell: shell ?? '/bin/sh',
    };
  }
}
