/** Puts the terminal of this process into raw mode: every key is sent to the machine, and nothing is echoed locally. */
import { spawnSync } from 'node:child_process';
import { isatty } from 'node:tty';
import type { TerminalSize } from '../../client/main.ts';
import { CliError } from '../cli-error.ts';
import { environment } from '../config.ts';
import { terminalStream } from '../streams/descriptor.ts';
import { printError } from '../streams/output.ts';
import { AlternateScreen, LEAVE_ALTERNATE_SCREEN, onLastLine } from '../streams/alternate-screen.ts';

const DEFAULT_SIZE = { width: 80, height: 24 };
/** Resets modes that the remote program may have set: hidden cursor, mouse, bracketed paste, colours. */
const RESET = '\u001b[?25h\u001b[?1000l\u001b[?1002l\u001b[?1003l\u001b[?1006l\u001b[?2004l\u001b[0m';

/** Throws CliError (exit code 2) if stdin is not a terminal. `reason`: the beginning of its message. */
export function assertTerminal(reason: string): void {
  if (isatty(0)) return;
  throw new CliError(`${reason}: stdin is not one.`, {
    exitCode: 2,
    hint: 'Run it at a terminal, or run the command without one: execplane exec -i MACHINE -- COMMAND',
  });
}

/** The size of the terminal that shows the output. */
export function terminalSize(): TerminalSize {
  const stream = terminalStream('stdout') ?? terminalStream('stderr');
  return stream === undefined || stream.columns === 0 ? DEFAULT_SIZE : { width: stream.columns, height: stream.rows };
}

/** Returns the environment of the remote program: the kind of terminal that shows its output. */
export function terminalEnvironment(): Record<string, string> {
  const { TERM } = environment();
  return TERM === undefined || TERM === '' ? {} : { TERM };
}

/** The terminal in raw mode. Its modes are restored at every exit of this process except by SIGKILL, and while the process is stopped. */
export class RawTerminal {
  readonly #resized: (size: TerminalSize) => void;
  readonly #stream = terminalStream('stdout') ?? terminalStream('stderr');
  readonly #alternateScreen = new AlternateScreen();

  constructor(resized: (size: TerminalSize) => void) {
    this.#resized = resized;
    process.on('exit', this.#leave);
    process.on('SIGTSTP', this.#stop);
    process.on('SIGCONT', this.#continue);
    this.#stream?.on('resize', this.#resize);
    this.#enter();
  }

  /** Whether a full-screen program is shown, by the output that `follow` has read. */
  get isFullScreen(): boolean {
    return this.#alternateScreen.isShown;
  }

  /** Reads output that is printed. */
  follow(bytes: Uint8Array): void {
    this.#alternateScreen.read(bytes);
  }

  /** Prints a message: on a line of its own, or on the last line of a full-screen program. */
  say(text: string): void {
    const message = `execplane: ${text}`;
    printError(this.isFullScreen ? onLastLine(message, terminalSize()) : `\r\n${message.replaceAll('\n', '\r\n')}\r\n`);
  }

  /** Undoes what a program that still runs has done to the screen. */
  reset(): void {
    this.#stream?.write(this.isFullScreen ? `${RESET}${LEAVE_ALTERNATE_SCREEN}` : RESET);
    this.#alternateScreen.isShown = false;
  }

  /** Makes a full-screen program draw its screen again, which a message has covered: programs do so after a change of the size. */
  redraw(): void {
    const { width, height } = terminalSize();
    this.#resized({ width, height: Math.max(1, height - 1) });
    this.#resized({ width, height });
  }

  dispose(): void {
    process.off('exit', this.#leave);
    process.off('SIGTSTP', this.#stop);
    process.off('SIGCONT', this.#continue);
    this.#stream?.off('resize', this.#resize);
    this.#leave();
  }

  /**
   * libuv keeps post-processing of output on, which would move the cursor of full-screen programs: a bare line feed must pass unchanged.
   */
  readonly #enter = (): void => {
    process.stdin.setRawMode(true);
    spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  };

  readonly #leave = (): void => void process.stdin.setRawMode(false);

  readonly #stop = (): void => {
    this.#leave();
    process.kill(process.pid, 'SIGSTOP');
  };

  /** The process that continues this one may have set modes of its own. */
  readonly #continue = (): void => {
    this.#leave();
    this.#enter();
    this.#resize();
  };

  readonly #resize = (): void => this.#resized(terminalSize());
}
