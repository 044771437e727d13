/**
 * Sends systemd keep-alive messages (WatchdogSec= of the unit). Without them systemd kills and restarts the link; commands keep running. Node
 * has no datagram Unix sockets, so systemd's own program sends the messages.
 */
import { execFile } from 'node:child_process';
import type { Logger } from 'pino';
import type { Watchdog } from '../config.ts';

export interface WatchdogOptions {
  /** Returns whether the agent still works. A call shows that the event loop runs. */
  isAlive: () => boolean;
  log: Pick<Logger, 'warn' | 'error'>;
  /** For tests: called instead of systemd-notify. */
  program?: string;
}

/** Sends keep-alive messages, three in each timeout. Returns the function that stops them. */
export function startWatchdog({ socket, timeoutMs, path }: Watchdog, options: WatchdogOptions): () => void {
  const { isAlive, log, program = 'systemd-notify' } = options;
  const env = { NOTIFY_SOCKET: socket, PATH: path };
  const intervalMs = timeoutMs / 3;
  let sending = false;
  let failed = false;
  const tell = () => {
    if (!isAlive()) {
      log.error('the link hangs: it sends systemd no more keep-alive messages, and systemd will restart it');
      return;
    }
    if (sending) return;
    sending = true;
    execFile(program, ['WATCHDOG=1'], { env, timeout: intervalMs }, (error) => {
      sending = false;
      if (error !== null && !failed) {
        log.warn(
          { err: error },
          'systemd-notify failed, so systemd will restart this agent again and again: check that this program is installed',
        );
      }
      failed = error !== null;
    });
  };
  tell();
  const timer = setInterval(tell, intervalMs);
  return () => clearInterval(timer);
}
