/** Notices that the other side of a WebSocket is gone, although no close of the connection ever came. */
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';

/**
 * Pings every `intervalMs`, and calls `silent` if nothing came in for two intervals; bytes of a long message count. While this side itself
 * does not read (it is paused), silence means nothing. Calls `beat` at each interval. Returns the function that stops it.
 */
export function startHeartbeat(
  ws: WebSocket,
  socket: Pick<Socket, 'bytesRead'>,
  intervalMs: number,
  silent: () => void,
  beat: () => void = () => {},
): () => void {
  let seen = socket.bytesRead;
  let quietIntervals = 0;
  const timer = setInterval(() => {
    beat();
    quietIntervals = socket.bytesRead === seen && !ws.isPaused ? quietIntervals + 1 : 0;
    seen = socket.bytesRead;
    if (quietIntervals >= 2) silent();
    else ws.ping();
  }, intervalMs);
  return () => clearInterval(timer);
}
