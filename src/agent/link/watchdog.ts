/**
 * Tells systemd that the agent lives (WatchdogSec= of the unit), which else kills and restarts the link; commands run on.
 * Node has no datagram Unix sockets, so systemd's own program sends the message.
 */
import { execFile } from 'node:child_process';
import type { Logger } from 'pino';
import type { Watchdog } from '../config.ts';

export interface WatchdogOptions {
  /** Whether there is something to tell. That this is asked at all says that the event loop turns. */
  isAlive: () => boolean;
  log: Pick<Logger, 'warn' | 'error'>;
  /** For tests: what to call instead of systemd-notify. */
  program?: string;
}

/** Sends signs of life, three in each timeout, until it is told to stop by calling what is returned. */
export function startWatchdog({ socket, timeoutMs, path }: Watchdog, options: WatchdogOptions): () => void {
  const { isAlive, log, program = 'systemd-notify' } = options;
  const env = { NOTIFY_SOCKET: socket, PATH: path };
  const intervalMs = timeoutMs / 3;
  let sending = false;
  let failed = false;
  const tell = () => {
    if (!isAlive()) {
      log.error('the link does not go on: systemd is no longer told that it lives, and will restart it');
      return;
    }
    if (sending) return;
    sending = true;
    execFile(program, ['WATCHDOG=1'], { env, timeout: intervalMs }, (error) => {
      sending = false;
      if (error !== null && !failed) {
        log.warn({ err: error }, 'systemd cannot be told that this agent lives, and will restart it again and again');
      }
      failed = error !== null;
    });
  };
  tell();
  const timer = setInterval(tell, intervalMs);
  return () => clearInterval(timer);
}
