/** Lists of the API, page after page. */
import type { Query, Transport } from './transport.ts';

/** One page of a list. */
export interface Page<T> {
  items: T[];
  /** Cursor of the next page. Absent on the last one. */
  next_cursor?: string;
}

/** The part of a list to return. */
export interface PageOptions {
  /** Items per page. Default: 50, at most 500. */
  limit?: number;
  /** `next_cursor` of the previous page. */
  cursor?: string | undefined;
  signal?: AbortSignal;
}

/** A list. Awaiting it returns one page; iterating over it yields every item of every page. */
export class List<T> implements PromiseLike<Page<T>>, AsyncIterable<T> {
  readonly #transport: Transport;
  readonly #path: string;
  readonly #query: Query;
  readonly #options: PageOptions;

  constructor(transport: Transport, path: string, options: PageOptions, query: Query = {}) {
    this.#transport = transport;
    this.#path = path;
    this.#options = options;
    this.#query = query;
  }

  // biome-ignore lint/suspicious/noThenProperty: awaiting a list is asking for a page of it
  then<A = Page<T>, B = never>(
    resolved?: ((page: Page<T>) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#page(this.#options.cursor).then(resolved, rejected);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    let { cursor } = this.#options;
    do {
      const page = await this.#page(cursor);
      yield* page.items;
      cursor = page.next_cursor;
    } while (cursor !== undefined);
  }

  #page(cursor: string | undefined): Promise<Page<T>> {
    const query = { ...this.#query, limit: this.#options.limit, cursor };
    return this.#transport.json('GET', this.#path, { query, signal: this.#options.signal });
  }
}
