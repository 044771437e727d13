/** The button below a list that loads older entries. */
interface ListFooterProps {
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => Promise<unknown>;
}

export function ListFooter({ hasNextPage, isFetchingNextPage, fetchNextPage }: ListFooterProps) {
  if (!hasNextPage) return undefined;
  return (
    <footer>
      <button type="button" className="button quiet" disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
        {isFetchingNextPage ? 'Loading …' : 'Show older entries'}
      </button>
    </footer>
  );
}
