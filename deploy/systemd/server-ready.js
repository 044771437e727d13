/**
 * ExecStartPost of execplane-server.service: waits until the server listens at the host and port given, so that a start is
 * over when requests are answered. It tries for ever: systemd ends it when the server exits or its time to start is over.
 */
import { connect } from 'node:net';

const [host, port] = process.argv.slice(2);
/** What "every address" is called by somebody who wants to reach one of them. */
const reachable = { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host;

function attempt() {
  const socket = connect({ host: reachable, port: Number(port) });
  socket.once('connect', () => socket.destroy());
  socket.once('error', () => setTimeout(attempt, 50));
}
attempt();
