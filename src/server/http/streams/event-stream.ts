/** Server-sent events of one execution, read from the store in small pages at the pace of the client. */
import { isTerminal } from '../../../core/execution.ts';
import type { Execution, ExecutionEvent } from '../../../store/store.ts';
import { watchCommits } from '../../control/live/watch-commits.ts';
import type { HttpContext } from '../http-context.ts';
import { eventWire } from '../replies/wire.ts';

/** Time without an event after which a comment is sent, ms, to keep proxies from closing the connection. */
const KEEP_ALIVE_MS = 15_000;
/** A comment, with one line break: an empty line would be an empty event for some decoders. */
const COMMENT = ':\n';
/** Events of a page, which limits the memory of one reader: a page of the store, once as events and once as text. */
const PAGE_EVENTS = 256;
const PAGE_BYTES = 131_072;

/** Yields events after sequence `after`, until the terminal one or until `signal` aborts. */
export async function* eventStream(
  context: Pick<HttpContext, 'store' | 'control'>,
  p: { execution: Execution; after: number; encoding: 'utf8' | 'base64'; signal: AbortSignal },
): AsyncGenerator<string> {
  const { executionId } = p.execution;
  let { after } = p;
  const commits = watchCommits(context.control, executionId);
  try {
    // The comment lets the client see that it is connected, even if there is no event yet.
    yield COMMENT;
    let silentSince = performance.now();
    while (!p.signal.aborted) {
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
      // The stream was resumed after the end: no event will follow.
      if (isTerminal(p.execution.status)) return;
      const silence = performance.now() - silentSince;
      if (!(await commits.next(KEEP_ALIVE_MS - silence, p.signal)) && !p.signal.aborted) {
        yield COMMENT;
        silentSince = performance.now();
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
