/**
 * Frees the buffers of output that passes through this process. V8 counts them as memory outside of its heap, and collects the whole heap after each
 * 64 MiB of them. But they die young, and a collection of the young generation frees them in a small part of that time.
 */
import { type CollectGarbage, prepareCollection } from './garbage.ts';

/** Bytes of output after which the young generation is collected. Each byte is in up to three buffers: as it was read, joined, and encoded. */
const COLLECT_EVERY_BYTES = 12 * 1024 * 1024;

/** Counts passing bytes, and collects their buffers from time to time. */
export class PassingBuffers {
  readonly #prepare: () => CollectGarbage;
  #collect: CollectGarbage | undefined;
  #bytes = 0;

  constructor(prepare: () => CollectGarbage = prepareCollection) {
    this.#prepare = prepare;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < COLLECT_EVERY_BYTES) return;
    this.#bytes = 0;
    this.#collect ??= this.#prepare();
    this.#collect({ type: 'minor' });
  }
}

/** The buffers of this process: the heap is shared by all of its parts. */
export const passingBuffers = new PassingBuffers();
