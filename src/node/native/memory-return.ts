/**
 * Returns memory to the system after a burst. V8 frees the buffers of a burst late, and the C allocator keeps freed memory between memory in
 * use. Without this a process would keep its peak memory.
 */
import { performance } from 'node:perf_hooks';
import { prepareCollection } from './garbage.ts';
import { prebuiltPath } from './prebuilt.ts';

const INTERVAL_MS = 10_000;
/** Share of busy time in an interval below which a collection may run: it stops the process for some tens of ms. */
const IDLE_BELOW = 0.1;
/** Time within which V8 frees the buffers that a collection found, on another thread, ms. */
const SWEEP_MS = 1000;
/** Maximum number of collections in a row: each may find garbage that the one before it left. */
const MAX_TRIES = 3;
/** Growth from which memory is returned, in bytes. */
const WORTH_BYTES = 16 * 1024 * 1024;

export interface MemoryReturnDeps {
  /** Bytes of the process that are in memory. */
  resident: () => number;
  /** Share of the time since the last call in which the event loop was busy. */
  busy: () => number;
  /** Collects garbage, and soon afterwards returns free memory to the system. */
  giveBack: () => void;
  intervalMs: number;
}

/** Starts to return memory whenever the process has grown and is idle, until `stop`. It keeps no process alive. */
export function startMemoryReturn(deps: Partial<MemoryReturnDeps> = {}): { stop(): void } {
  const { resident, busy, giveBack, intervalMs } = { ...ofThisProcess(), ...deps };
  let base = resident();
  let tries = 0;
  const timer = setInterval(() => {
    const isIdle = busy() < IDLE_BELOW;
    const now = resident();
    if (tries === MAX_TRIES) base = now;
    base = Math.min(base, now);
    if (now < base + WORTH_BYTES) tries = 0;
    else if (isIdle) {
      giveBack();
      tries += 1;
    }
  }, intervalMs);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

function ofThisProcess(): MemoryReturnDeps {
  let since = performance.eventLoopUtilization();
  return {
    resident: () => process.memoryUsage.rss(),
    busy: () => {
      const before = since;
      since = performance.eventLoopUtilization();
      return performance.eventLoopUtilization(since, before).utilization;
    },
    giveBack: prepareGiveBack(),
    intervalMs: INTERVAL_MS,
  };
}

/** Node has no function that returns the memory of the C allocator: native/memory.c has one. */
function prepareGiveBack(): () => void {
  const collect = prepareCollection();
  const trim = loadTrim();
  return () => {
    collect();
    setTimeout(trim, SWEEP_MS).unref();
  };
}

/** Does nothing on a platform that has no addon, or another C library. */
function loadTrim(): () => void {
  const module: { exports: unknown } = { exports: {} };
  try {
    process.dlopen(module, prebuiltPath('execplane-memory.node'));
  } catch {
    return () => {};
  }
  return module.exports as () => void;
}
