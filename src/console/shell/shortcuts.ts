/** Keys that work on every page, except while the user types. */
import { type RefObject, useEffect } from 'react';

/** Time to wait for the second key of `g m`, in ms. */
const SEQUENCE_MS = 1000;

export type Shortcuts = Readonly<Record<string, () => void>>;

function isTyping({ target }: KeyboardEvent): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return (
    target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName) || target.closest('dialog') !== null
  );
}

/** `keys`: `?`, `j`, or two in a row such as `g m`. */
export function useShortcuts(keys: Shortcuts): void {
  useEffect(() => {
    let first: { key: string; at: number } | undefined;
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
      const recent = first !== undefined && event.timeStamp - first.at < SEQUENCE_MS ? `${first.key} ${event.key}` : '';
      const act = keys[recent] ?? keys[event.key];
      first = { key: event.key, at: event.timeStamp };
      if (act === undefined) return;
      first = undefined;
      event.preventDefault();
      act();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [keys]);
}

/** `/` focuses the search field of the page. */
export function useFocusOnSlash(field: RefObject<HTMLInputElement | null>): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== '/' || event.ctrlKey || event.metaKey || isTyping(event)) return;
      event.preventDefault();
      field.current?.focus();
      field.current?.select();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [field]);
}
