/** Converts `?limit=&cursor=` to a page request to the store, and a page to `{items, next_cursor}`. */
import type { Execution, Page, PageRequest } from '../../../store/store.ts';
import { wakeRetries } from '../replies/wake-retry.ts';
import { executionWire } from '../replies/wire.ts';
import type { Cursors } from './cursor.ts';

/** Returns the page request. `list`: name of the list with its filters; a cursor of another list is refused (422). */
export function pageRequest(
  cursors: Cursors,
  list: string,
  query: { limit: number; cursor?: string | undefined },
): PageRequest {
  const after = cursors.decode(list, query.cursor);
  return after === undefined ? { limit: query.limit } : { limit: query.limit, after };
}

/** Converts a page of the store to the API's form. */
export function pageWire<T, W>(
  cursors: Cursors,
  list: string,
  page: Page<T>,
  wire: (item: T) => W,
): { items: W[]; next_cursor?: string } {
  const items = page.items.map(wire);
  return page.next === undefined ? { items } : { items, next_cursor: cursors.encode(list, page.next) };
}

/** Converts a page of executions to the API's form. */
export async function executionPageWire(
  context: Parameters<typeof wakeRetries>[0] & { cursors: Cursors },
  list: string,
  page: Page<Execution>,
) {
  const retryAfterMs = await wakeRetries(context, page.items);
  return pageWire(context.cursors, list, page, (execution) => executionWire(execution, retryAfterMs(execution)));
}
