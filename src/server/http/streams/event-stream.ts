/** Server-sent events of one execution, read from the store in small pages at the pace of the client. */
import { isTerminal } from '../../../core/execution.ts';
import type { Execution, ExecutionEvent } from '../../../store/store.ts';
import { watchCommits } from '../../control/live/watch-commits.ts';
import type { HttpContext } from '../http-context.ts';
import { eventWire } from '../replies/wire.ts';
import { COMMENT, KEEP_ALIVE_MS } from './keep-alive.ts';

/** Events of a page, which limits the memory of one reader: a page of the store, once as events and once as text. */
const PAGE_EVENTS = 256;
const PAGE_BYTES = 131_072;

/** Yields events after sequence `after`, until the terminal one or until `signal` aborts. */
export async function* eventStream(
  context: Pick<HttpContext, 'store' | 'control'>,
  p: { execution: Execution; after: number; encoding: 'utf8' | 'base64'; signal: AbortSignal },
): AsyncGenerator<string> {
  const { executionId, machineId } = p.execution;
  let { after } = p;
  let latest = p.execution;
  const commits = watchCommits(context.control, executionId);
  try {
    // The comment lets the client see that it is connected, even if there is no event yet.
    yield COMMENT;
    let silentSince = performance.now();
    while (!p.signal.aborted) {
      // The state is read before the events, so that one more read after the end finds all of them.
      const ended = isTerminal(latest.status);
      const events = await context.store.listEvents({
        executionId,
        afterSequence: after,
        limit: PAGE_EVENTS,
        maxBytes: PAGE_BYTES,
      });
      const last = events.at(-1);
      if (last !== undefined) {
        after = last.sequence;
        yield events.map((event) => frame(event, p.encoding)).join('');
        if (isEnd(last)) return;
        silentSince = performance.now();
        continue;
      }
      // A client may resume after an event that never comes.
      if (ended) return;
      const silence = performance.now() - silentSince;
      if (await commits.next(KEEP_ALIVE_MS - silence, p.signal)) {
        latest = commits.latest() ?? latest;
      } else if (!p.signal.aborted) {
        yield COMMENT;
        silentSince = performance.now();
        latest = (await context.store.getExecution({ machineId, executionId })) ?? latest;
      }
    }
  } finally {
    commits.close();
  }
}

/** Whether an event is the last one of its log. */
export function isEnd(event: ExecutionEvent): boolean {
  return event.type === 'lifecycle' && isTerminal(event.status);
}

/** Formats an event. JSON has no raw line breaks, so one data line is enough. */
function frame(event: ExecutionEvent, encoding: 'utf8' | 'base64'): string {
  return `id: ${event.sequence}\nevent: ${event.type}\ndata: ${JSON.stringify(eventWire(event, encoding))}\n\n`;
}
