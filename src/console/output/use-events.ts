/** Follows the log of an execution live, through restarts of the server: its output as lines, its statuses as a timeline. */
import { useEffect, useState } from 'react';
import type { ExecutionEventWire } from '../../api/execution.ts';
import { followEvents } from '../../client/follow-events.ts';
import { transport } from '../data/client.ts';
import { executionPath } from '../data/executions.ts';
import { OutputLog } from './output-log.ts';

/** Bytes of output that a page keeps. More is read by range. */
export const MAX_FOLLOWED_BYTES = 48 * 1024 * 1024;

/** Time between two yields to other work, in ms. */
const WORK_MS = 10;
/** Events within this time are shown together, in ms. */
const GATHER_MS = 30;

export interface FollowedEvents {
  log: OutputLog;
  version: number;
  lifecycle: readonly ExecutionEventWire[];
  /** Whether the server cannot be reached. */
  away: boolean;
  /** There is more output than a page keeps. */
  full: boolean;
  error: unknown;
  ended: boolean;
}

/** Collects events between two frames: a flood of events is one change. */
class Collector {
  log = new OutputLog();
  lifecycle: ExecutionEventWire[] = [];
  away = false;
  full = false;
  ended = false;
  error: unknown;
  #frame = 0;
  #worksSince = performance.now();
  readonly #publish: (state: FollowedEvents) => void;

  constructor(publish: (state: FollowedEvents) => void) {
    this.#publish = publish;
  }

  async follow(path: string, signal: AbortSignal): Promise<void> {
    const outage = { away: () => this.set({ away: true }), back: () => this.set({ away: false }) };
    try {
      for await (const { chunk, ...event } of followEvents(transport, path, { signal, outage })) {
        if (event.type === 'lifecycle') this.lifecycle = [...this.lifecycle, event];
        else if (this.log.bytes >= MAX_FOLLOWED_BYTES) this.full = true;
        else if (chunk !== undefined) this.log.append(event.type, chunk);
        this.#schedule();
        await this.#breathe();
      }
      this.log.end();
      this.set({ ended: true });
    } catch (error) {
      if (!signal.aborted) this.set({ error });
    }
  }

  /** Gives the page time to scroll and to paint during a flood of events. */
  async #breathe(): Promise<void> {
    if (performance.now() - this.#worksSince < WORK_MS) return;
    await new Promise((resolve) => setTimeout(resolve));
    this.#worksSince = performance.now();
  }

  set(change: Partial<Pick<FollowedEvents, 'away' | 'ended' | 'error'>>): void {
    Object.assign(this, change);
    this.#schedule();
  }

  stop(): void {
    clearTimeout(this.#frame);
  }

  /** Schedules a publication. It does not use requestAnimationFrame, which stops in the background, so that events would pile up. */
  #schedule(): void {
    if (this.#frame !== 0) return;
    this.#frame = window.setTimeout(() => {
      this.#frame = 0;
      this.#publish(this.state());
    }, GATHER_MS);
  }

  state(): FollowedEvents {
    const { log, lifecycle, away, full, error, ended } = this;
    return { log, version: log.version, lifecycle, away, full, error, ended };
  }
}

/** Follows the log of an execution while the page is open. */
export function useEvents(machineId: string, executionId: string): FollowedEvents {
  const [state, setState] = useState<FollowedEvents>(() => new Collector(() => {}).state());
  useEffect(() => {
    const collector = new Collector(setState);
    setState(collector.state());
    const abort = new AbortController();
    void collector.follow(executionPath(machineId, executionId), abort.signal);
    return () => {
      abort.abort();
      collector.stop();
    };
  }, [machineId, executionId]);
  return state;
}
