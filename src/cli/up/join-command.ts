/**
 * The line that makes a machine join, for a root shell there, beside the packages. The token goes in by standard input, since
 * everybody can see arguments; `echo` is the shell's own, and no process.
 */
export function joinCommand(server: URL, token: string): string {
  const url = server.href.replace(/\/$/, '');
  return `echo ${token} | sh install-agent.sh --url ${/^[\w:/.[\]-]+$/.test(url) ? url : `'${url}'`}`;
}
