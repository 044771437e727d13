/** OpenSSH on loopback: a separate daemon with its own keys, run as the user of the bench. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../test/helpers/free-port.ts';
import { until } from '../../test/helpers/processes.ts';

const SSHD = '/usr/sbin/sshd';
/** The directory to which the daemon changes its root before a login. In Debian the service creates it. */
const EMPTY_DIRECTORY = '/run/sshd';

export interface OpenSsh {
  /** Options that ssh and scp share. */
  options: readonly string[];
  /** `USER@HOST`. */
  login: string;
  close: () => Promise<void>;
}

/** Starts the daemon. Throws ENOENT if it is not installed. */
export async function startOpenSsh(): Promise<OpenSsh> {
  accessSync(SSHD);
  const directory = mkdtempSync(join(tmpdir(), 'execplane-sshd-'));
  const [hostKey, userKey] = [join(directory, 'host'), join(directory, 'user')];
  for (const key of [hostKey, userKey]) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
  if (userInfo().uid === 0) mkdirSync(EMPTY_DIRECTORY, { recursive: true, mode: 0o755 });
  const port = await freePort();
  const settings = [
    `ListenAddress=127.0.0.1:${port}`,
    `HostKey=${hostKey}`,
    `AuthorizedKeysFile=${userKey}.pub`,
    'PidFile=none',
    'StrictModes=no',
    'UsePAM=no',
    'Subsystem=sftp internal-sftp',
  ].flatMap((setting) => ['-o', setting]);
  const daemon = spawn(SSHD, ['-D', '-e', '-f', '/dev/null', ...settings], { stdio: 'ignore' });
  await until('sshd listens', () => listens(port));
  return {
    options: [
      ...['-q', '-F', '/dev/null', '-i', userKey],
      ...['-o', `Port=${port}`, '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
    ],
    login: `${userInfo().username}@127.0.0.1`,
    close: async () => {
      daemon.kill('SIGTERM');
      await once(daemon, 'exit');
      rmSync(directory, { recursive: true });
    },
  };
}

/** Whether a server accepts connections. */
export function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    }).once('error', () => resolve(false));
  });
}
