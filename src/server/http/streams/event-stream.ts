/** Server-sent events of one execution, read from the store in small pages at the pace of the client. */
import { isTerminal } from '../../../core/execution.ts';
import type { Execution, ExecutionEvent } from '../../../store/store.ts';
import { watchCommits } from '../../control/live/watch-commits.ts';
import type { HttpContext } from '../http-context.ts';
import { eventWire } from '../replies/wire.ts';

/** After this much silence a comment keeps proxies from closing the connection. */
const KEEP_ALIVE_MS = 15_000;
/** One line break: an empty line would be an empty event for some decoders. */
const COMMENT = ':\n';
/** Memory of one reader: a page of the store, once as events and once as text. */
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
    // The first bytes tell the client that it is connected, even if nothing has happened yet.
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
      // Resumed after the end: nothing more will come.
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

/** Whether nothing comes after this event. */
export function isEnd(event: ExecutionEvent): boolean {
  return event.type === 'lifecycle' && isTerminal(event.status);
}

/** JSON has no raw line breaks, so one data line is enough. */
function frame(event: ExecutionEvent, encoding: 'utf8' | 'base64'): string {
  return `id: ${event.sequence}\nevent: ${event.type}\ndata: ${JSON.stringify(eventWire(event, encoding))}\n\n`;
}
