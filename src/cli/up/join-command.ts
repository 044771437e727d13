/**
 * Returns the command line with which a machine joins: for a root shell there, in the folder that contains the packages. The token is
 * passed by standard input, since everybody can see arguments; `echo` is a shell builtin and not a process.
 */
export function joinCommand(server: URL, token: string): string {
  const url = server.href.replace(/\/$/, '');
  return `echo ${token} | sh install-agent.sh --url ${/^[\w:/.[\]-]+$/.test(url) ? url : `'${url}'`}`;
}
