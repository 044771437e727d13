/** Keys that work on every page, except while the user types. */
import { type RefObject, useEffect, useRef } from 'react';

/** Time to wait for the second key of `g m`, in ms. */
const SEQUENCE_MS = 5000;

export type Shortcuts = Readonly<Record<string, () => void>>;

function isTyping({ target }: KeyboardEvent): boolean {
  if (!(target instanceof HTMLElement)) return false;
  const dialog = target.closest('dialog');
  // A closed dialog keeps the focus until the browser draws the next frame: keys in that time are for the page.
  if (dialog !== null) return dialog.open;
  return target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName);
}

/** `keys`: `?`, `j`, or two in a row such as `g m`. */
export function useShortcuts(keys: Shortcuts): void {
  // Outside the effect, which a page that is drawn between the two keys of `g m` runs again.
  const first = useRef<{ key: string; at: number }>(undefined);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
      const { key, at } = first.current ?? { key: '', at: Number.NEGATIVE_INFINITY };
      const recent = event.timeStamp - at < SEQUENCE_MS ? `${key} ${event.key}` : '';
      const act = keys[recent] ?? keys[event.key];
      first.current = { key: event.key, at: event.timeStamp };
      if (act === undefined) return;
      first.current = undefined;
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
