/** Detects a dead peer of a WebSocket whose connection was never closed. */
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';

/**
 * Pings every `intervalMs`, and calls `silent` if no byte was received for two intervals; bytes of a long message count. While this side is
 * paused and does not read, the peer does not count as silent. Calls `beat` at each interval. Returns the function that stops it.
 */
export function startHeartbeat(
  ws: WebSocket,
  socket: Pick<Socket, 'bytesRead'>,
  intervalMs: number,
  silent: () => void,
  beat: () => void = () => {},
): () => void {
  let bytesSeen = socket.bytesRead;
  let quietIntervals = 0;
  const timer = setInterval(() => {
    beat();
    quietIntervals = socket.bytesRead === bytesSeen && !ws.isPaused ? quietIntervals + 1 : 0;
    bytesSeen = socket.bytesRead;
    if (quietIntervals >= 2) silent();
    else ws.ping();
  }, intervalMs);
  return () => clearInterval(timer);
}
