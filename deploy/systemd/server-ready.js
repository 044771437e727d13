/**
 * ExecStartPost of execplane-server.service: waits until the server listens at the given host and port, so that a start is complete when
 * requests are answered. It tries without end: systemd ends it when the server exits or its start time is over.
 */
import { connect } from 'node:net';

const [host, port] = process.argv.slice(2);
/** Addresses to connect to, for the names of "every address". */
const reachable = { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host;

function attempt() {
  const socket = connect({ host: reachable, port: Number(port) });
  socket.once('connect', () => socket.destroy());
  socket.once('error', () => setTimeout(attempt, 50));
}
attempt();
