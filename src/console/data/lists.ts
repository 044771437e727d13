/** Lists of the API for the pages: loaded page after page, refreshed every few seconds while they are visible. */
import { type InfiniteData, infiniteQueryOptions } from '@tanstack/react-query';
import { type Page, pageOf } from '../../client/http/pages.ts';
import type { Shape } from '../../client/http/shape.ts';
import type { Query } from '../../client/http/transport.ts';
import { transport } from './client.ts';

const PAGE_ITEMS = 50;
export const LIVE_MS = 3000;

/** Loads the items at `path` of the API, newest first, `PAGE_ITEMS` at a time. The list is live only while few pages are loaded. */
export function listQuery<T>(path: string, item: Shape<T>, query: Query = {}) {
  return infiniteQueryOptions({
    queryKey: ['list', path, query],
    queryFn: ({ pageParam, signal }): Promise<Page<T>> =>
      transport.json('GET', path, pageOf(item), { query: { limit: PAGE_ITEMS, ...query, cursor: pageParam }, signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last: Page<T>) => last.next_cursor,
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) <= 2 ? LIVE_MS : false),
  });
}

/** Returns the items of all loaded pages. */
export function itemsOf<T>(data: InfiniteData<Page<T>> | undefined): T[] {
  return data?.pages.flatMap((page) => page.items) ?? [];
}
