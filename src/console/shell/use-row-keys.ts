/** `j` and `k` move through the rows of a table; Enter opens the selected one. */
import { useMemo, useState } from 'react';
import { useLocation } from 'wouter';
import { useShortcuts } from './shortcuts.ts';

/** `paths`: the target of each row. Returns the selected row, -1 for none. */
export function useRowKeys(paths: readonly string[]): number {
  const [chosen, setChosen] = useState(-1);
  const [, navigate] = useLocation();
  const index = Math.min(chosen, paths.length - 1);
  const path = paths[index];
  const count = paths.length;
  const keys = useMemo(
    () => ({
      j: () => setChosen(Math.min(index + 1, count - 1)),
      k: () => setChosen(Math.max(index - 1, 0)),
      ...(path === undefined ? {} : { ['Enter']: () => navigate(path) }),
    }),
    [index, count, path, navigate],
  );
  useShortcuts(keys);
  return index;
}
