/** Collects garbage. Node has no function for it: a flag of V8 adds one to new contexts. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** With `minor`, collects only the young generation, which takes a fraction of a millisecond. */
export type CollectGarbage = (options?: { type: 'minor' }) => void;

export function prepareCollection(): CollectGarbage {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as CollectGarbage;
}
