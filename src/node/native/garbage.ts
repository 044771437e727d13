/** Makes V8 collect garbage. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** With `minor`, collects only the young generation, which takes a fraction of a millisecond. */
export type CollectGarbage = (options?: { type: 'minor' }) => void;

/** Returns the function that collects. Node has none: a flag of V8 adds it to new contexts. */
export function prepareCollection(): CollectGarbage {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as CollectGarbage;
}
