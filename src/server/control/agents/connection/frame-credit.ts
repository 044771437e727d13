/** Limits the control frames of one agent: their number and their size, each refilled with time. */
import { AGENT_LIMITS } from './limits.ts';

/** Size of the bucket in seconds of its refill. */
const BURST_S = 2;

/** A token bucket for the number and the bytes of one agent's control frames. */
export class FrameCredit {
  readonly #framesPerSecond: number;
  #frames: number;
  #bytes: number = AGENT_LIMITS.frameBytesPerSecond * BURST_S;
  #at = 0;

  constructor(p: { framesPerSecond: number }) {
    this.#framesPerSecond = p.framesPerSecond;
    this.#frames = p.framesPerSecond * BURST_S;
  }

  /** Pays for one frame of `bytes` bytes. False if the credit does not cover it. `now`: ms of a monotonic clock. */
  spend(bytes: number, now: number): boolean {
    const seconds = (now - this.#at) / 1000;
    this.#at = now;
    this.#frames = refilled(this.#frames, this.#framesPerSecond, seconds) - 1;
    this.#bytes = refilled(this.#bytes, AGENT_LIMITS.frameBytesPerSecond, seconds) - bytes;
    return this.#frames >= 0 && this.#bytes >= 0;
  }
}

function refilled(credit: number, perSecond: number, seconds: number): number {
  return Math.min(perSecond * BURST_S, credit + perSecond * seconds);
}
