/** Produces server-sent events of one machine: its present state, then one event for each transition. */
import { isRetryable } from '../../../core/machines/machine.ts';
import type { Machine } from '../../../store/store.ts';
import type { HttpContext } from '../http-context.ts';
import { machineDetailWire } from '../replies/wire.ts';
import { COMMENT, KEEP_ALIVE_MS } from './keep-alive.ts';

/** Maximum number of transitions that wait for a slow reader. Above it the oldest are dropped. */
const MAX_WAITING = 64;

/** Yields the events until the machine is in its desired state or has failed for good, or until `signal` aborts. */
export async function* statusStream(
  context: Pick<HttpContext, 'store' | 'lifecycle'>,
  { machineId, signal }: { machineId: string; signal: AbortSignal },
): AsyncGenerator<string> {
  let waiting: Machine[] = [];
  let wake = (): void => {};
  // The machine is watched before it is read: no transition in between is missed.
  const unwatch = context.lifecycle.feed.watch(machineId, (machine) => {
    waiting = [...waiting, machine].slice(-MAX_WAITING);
    wake();
  });
  const changed = () =>
    new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, KEEP_ALIVE_MS);
      signal.addEventListener('abort', done, { once: true });
      wake = done;
    });
  try {
    let sentRevision = 0;
    const present = await context.store.getMachine({ machineId });
    if (present !== undefined) waiting = [present, ...waiting];
    while (!signal.aborted) {
      const next = waiting.shift();
      if (next === undefined) {
        await changed();
        if (waiting.length === 0 && !signal.aborted) yield COMMENT;
      } else if (next.revision > sentRevision) {
        sentRevision = next.revision;
        yield frame(next);
        if (isOver(next)) return;
      }
    }
  } finally {
    unwatch();
  }
}

function isOver(machine: Machine): boolean {
  return machine.phase === machine.desiredState || (machine.phase === 'failed' && !isRetryable(machine));
}

function frame(machine: Machine): string {
  return `id: ${machine.revision}\nevent: status\ndata: ${JSON.stringify(machineDetailWire(machine))}\n\n`;
}
