/** The command line with which a machine joins. */
import type { Fetch } from '../../client/http/transport.ts';

/** The source of the installer: the server, or the current folder, which then holds the packages. */
export type InstallerPlace = 'server' | 'folder';

/**
 * Returns the command line with which a machine joins, for a root shell there. The token is passed by standard input, since everybody
 * can see arguments; `echo` is a shell builtin and not a process.
 */
export function joinCommand(server: URL, token: string, installer: InstallerPlace): string {
  const url = hrefOf(server);
  if (installer === 'server') return `echo ${token} | sh -c "$(curl -fsSL ${quoted(`${url}/install.sh`)})"`;
  return `echo ${token} | sh install-agent.sh --url ${quoted(url)}`;
}

/**
 * Finds out whether the server serves the installer to a machine that knows nothing of it: over https, with a certificate of a public
 * authority. `ca`: the authority that this user had to name.
 */
export async function findInstaller(p: { url: URL; ca?: unknown; fetch: Fetch }): Promise<InstallerPlace> {
  if (p.url.protocol !== 'https:' || p.ca !== undefined) return 'folder';
  const answer = await p.fetch(`${hrefOf(p.url)}/install.sh`, { method: 'HEAD' }).catch(() => undefined);
  return answer?.ok === true ? 'server' : 'folder';
}

function hrefOf(url: URL): string {
  return url.href.replace(/\/$/, '');
}

function quoted(url: string): string {
  return /^[\w:/.[\]-]+$/.test(url) ? url : `'${url}'`;
}
