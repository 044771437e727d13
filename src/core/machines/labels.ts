/** Labels of machines, by which machines are selected. Set by the agent's settings and through the API, which wins. */
import { type Static, Type } from 'typebox';

/** Text that the kernel accepts in argv, env and paths, and that every database can store. */
export const NO_NUL = '^[^\\u0000]*$';
export const LABEL_KEY_PATTERN = '^(?=.{1,63}$)[a-z0-9]([a-z0-9._/-]*[a-z0-9])?$';
const LABEL_KEY = new RegExp(LABEL_KEY_PATTERN);
const MAX_VALUE_CHARS = 255;
const MAX_LABELS = 64;

export const LabelsSchema = Type.Record(
  Type.String({ pattern: LABEL_KEY_PATTERN }),
  Type.String({ pattern: NO_NUL, maxLength: MAX_VALUE_CHARS }),
  {
    additionalProperties: false,
    maxProperties: MAX_LABELS,
    description: 'Labels: keys of up to 63 of a-z 0-9 . _ / -, values of up to 255 characters.',
    examples: [{ role: 'web', site: 'berlin' }],
  },
);
export type Labels = Readonly<Static<typeof LabelsSchema>>;

/** Selects the machines with a label. Without `value`: with any value of it. */
export interface LabelSelector {
  key: string;
  value?: string;
}

/** Parses `k=v,k2=v2`. Undefined if the text is malformed. */
export function parseLabels(text: string): Labels | undefined {
  const pairs = text
    .split(',')
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '')
    .map(parseSelector);
  const labels: Record<string, string> = {};
  for (const pair of pairs) {
    if (pair?.value === undefined) return undefined;
    labels[pair.key] = pair.value;
  }
  return Object.keys(labels).length > MAX_LABELS ? undefined : labels;
}

/** Parses `k=v` or `k`. Undefined if the text is malformed. */
export function parseSelector(text: string): LabelSelector | undefined {
  const [key = '', ...rest] = text.split('=');
  if (!LABEL_KEY.test(key)) return undefined;
  if (rest.length === 0) return { key };
  const value = rest.join('=');
  return value.length > MAX_VALUE_CHARS || value.includes('\0') ? undefined : { key, value };
}

/** Whether the labels match each of the selectors. */
export function matchesSelectors(labels: Labels, selectors: readonly LabelSelector[]): boolean {
  return selectors.every(
    ({ key, value }) => Object.hasOwn(labels, key) && (value === undefined || labels[key] === value),
  );
}

/** Whether both have the same labels. */
export function sameLabels(a: Labels = {}, b: Labels = {}): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
