/** Users and groups as /etc/passwd and /etc/group have them (passwd(5), group(5)). */
import { readFileSync } from 'node:fs';

export interface User {
  name: string;
  uid: number;
  gid: number;
  home: string;
  shell: string;
}

/** The user of this name; undefined where there is none. */
export function findUser(name: string, passwd = read('/etc/passwd')): User | undefined {
  for (const line of passwd.split('\n')) {
    const [user, , uid, gid, , home, shell] = line.split(':');
    if (user !== name || uid === undefined || gid === undefined) continue;
    return { name, uid: Number(uid), gid: Number(gid), home: home || '/', shell: shell || '/bin/sh' };
  }
  return undefined;
}

/** The ids of the groups a user is in, the primary one first. */
export function findGroups(user: User, group = read('/etc/group')): number[] {
  const groups = new Set([user.gid]);
  for (const line of group.split('\n')) {
    const [, , gid, members] = line.split(':');
    if (gid !== undefined && members?.split(',').includes(user.name)) groups.add(Number(gid));
  }
  return [...groups];
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
