/** Whether a parsed value has the type T. */
export type Guard<T> = (value: unknown) => value is T;

/** Parses JSON; undefined if the text is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
