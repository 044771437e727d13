/** Makes V8 collect garbage, and sets how. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** With `minor`, collects only the young generation, which takes a fraction of a millisecond. */
export type CollectGarbage = (options?: { type: 'minor' }) => void;

/** Returns the function that collects. Node has none: a flag of V8 adds it to new contexts. */
export function prepareCollection(): CollectGarbage {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as CollectGarbage;
}

/**
 * Makes V8 collect the young generation on the thread that runs JavaScript alone. For a process with little in it, to wake up other threads costs
 * more than their help is worth.
 */
export function collectYoungAlone(): void {
  setFlagsFromString('--no-parallel-scavenge');
}
