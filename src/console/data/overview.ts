/** The figures of the overview. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import type { ConsoleOverview, Span } from '../../api/console.ts';
import { transport } from './client.ts';
import { CONSOLE_OVERVIEW } from './shapes.ts';

const LIVE_MS = 5000;

/** The query for the overview, with a chart of `span`. */
export function overviewQuery(span: Span) {
  return queryOptions({
    queryKey: ['overview', span],
    queryFn: ({ signal }): Promise<ConsoleOverview> =>
      transport.json('GET', '/console/overview', CONSOLE_OVERVIEW, { query: { span }, signal }),
    refetchInterval: LIVE_MS,
    placeholderData: keepPreviousData,
  });
}
