/**
 * A user who is not in /etc/passwd, as with LDAP. In the test, the name service module of systemd (libnss-systemd) finds the user
 * in a record in /run, which is mounted for the runner and its child processes only.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Started, until } from '../../helpers/processes.ts';
import { agentDirectory, attach, listens, MAIN } from '../../helpers/runner-process.ts';

const USER = { userName: 'execplane-directory', uid: 42_420, gid: 42_421, homeDirectory: '/usr', shell: '/bin/sh' };
const PATH = process.env['PATH'] ?? '';

/** Arguments for a shell that runs the following command with the record of the user in /run. */
function besideRecord(directory: string): string[] {
  const record = join(directory, 'record');
  writeFileSync(record, JSON.stringify({ ...USER, disposition: 'regular' }));
  const place = `mount -t tmpfs none /run && mkdir /run/userdb && cp "$0" "/run/userdb/${USER.userName}.user"`;
  const link = `ln -s "${USER.userName}.user" /run/userdb/${USER.uid}.user`;
  return ['-c', `exec unshare --mount /bin/sh -c '${place} && ${link} && exec "$@"' "$0" "$@"`, record];
}

test.runIf(process.platform === 'linux')('a user that only getent(1) knows is found', async ({ skip }) => {
  const directory = agentDirectory();
  const shell = besideRecord(directory);
  const asked = spawnSync('/bin/sh', [...shell, 'getent', 'passwd', USER.userName], { encoding: 'utf8' });
  skip(asked.status !== 0, 'needs root, and systemd in the passwd line of /etc/nsswitch.conf (libnss-systemd)');
  expect(spawnSync('/bin/sh', ['-c', `getent passwd ${USER.userName}`]).status).not.toBe(0);

  const runner = new Started('/bin/sh', [...shell, process.execPath, MAIN, '--dir', directory], { PATH });
  onTestFinished(async () => void (await runner.end('SIGKILL')));
  await until('it listens', () => listens(directory));
  const link = await attach(directory);
  const command = ['/bin/sh', '-c', 'echo "$(id -u) $(id -g) $USER $HOME $(pwd)"'];
  const { stdout, ended } = await link.run('a', command, { user: USER.userName });
  expect([ended.error_message, stdout.toString()]).toEqual([undefined, '42420 42421 execplane-directory /usr /usr\n']);
});
