/** Reads the query parameter `label`, which selects machines. */
import { type LabelSelector, parseSelector } from '../../../../core/machines/labels.ts';
import { invalid } from '../../replies/problem.ts';

const MAX_SELECTORS = 16;

/** Returns the selectors of labels. Throws a 422 for a malformed one. */
export function readSelectors(labels: readonly string[] = []): LabelSelector[] {
  const selectors = labels.map(parseSelector).filter((selector) => selector !== undefined);
  if (selectors.length === labels.length && labels.length <= MAX_SELECTORS) return selectors;
  throw invalid([
    { location: 'query.label', message: `must be key=value or key, and be given at most ${MAX_SELECTORS} times` },
  ]);
}
