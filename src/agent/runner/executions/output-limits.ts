import type { OutputLimit } from '../../../core/protocol.ts';
import type { Output } from './output.ts';
import type { OutputPause } from './output-pause.ts';

/** The output that is limited. `capBytes`: bytes of each stream that are emitted at most, whatever the limit. */
interface Limited {
  output: Pick<Output, 'cap'>;
  pause: Pick<OutputPause, 'raiseLimit' | 'liftLimit'>;
  capBytes: number;
}

/** The output limits of a command. Past them it waits, or its output is discarded. They may be set before it is started. */
export class OutputLimits {
  #limit: OutputLimit | undefined;
  #limited: Limited | undefined;

  /** Sets the limits. They only rise: an outdated one has no effect, and `discard` is final. */
  raise(limit: OutputLimit): void {
    this.#limit = raised(this.#limit ?? limit, limit);
    this.#apply();
  }

  /** Applies the limits to the output of the command, from now on. */
  applyTo(limited: Limited): void {
    this.#limited = limited;
    this.#apply();
  }

  #apply(): void {
    if (this.#limited === undefined || this.#limit === undefined) return;
    const { output, pause, capBytes } = this.#limited;
    const { past_limit: pastLimit, stdout, stderr } = this.#limit;
    if (pastLimit === 'wait') pause.raiseLimit({ stdout, stderr });
    else {
      output.cap('stdout', Math.min(stdout, capBytes));
      output.cap('stderr', Math.min(stderr, capBytes));
      pause.liftLimit();
    }
  }
}

function raised(before: OutputLimit, limit: OutputLimit): OutputLimit {
  if (before.past_limit === 'discard') return before;
  const stdout = Math.max(limit.stdout, before.stdout);
  return { ...limit, stdout, stderr: Math.max(limit.stderr, before.stderr) };
}
