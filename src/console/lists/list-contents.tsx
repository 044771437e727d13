/** The contents of a list's panel: a loading or empty state, or its entries with the button for more. */
import type { ReactNode } from 'react';
import { Loading } from '../parts/empty.tsx';

interface ListFooterProps {
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => Promise<unknown>;
}

interface ListContentsProps {
  list: ListFooterProps & { isPending: boolean; isSuccess: boolean };
  /** Entries that are shown. */
  count: number;
  /** Shown in place of no entries. */
  empty: ReactNode;
  /** The entries. */
  children: ReactNode;
}

export function ListContents({ list, count, empty, children }: ListContentsProps) {
  return (
    <>
      {list.isPending && <Loading />}
      {list.isSuccess && count === 0 && empty}
      {count > 0 && children}
      <ListFooter {...list} />
    </>
  );
}

/** The button that loads older entries. */
function ListFooter({ hasNextPage, isFetchingNextPage, fetchNextPage }: ListFooterProps) {
  if (!hasNextPage) return undefined;
  return (
    <footer>
      <button type="button" className="button quiet" disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
        {isFetchingNextPage ? 'Loading …' : 'Show older entries'}
      </button>
    </footer>
  );
}
