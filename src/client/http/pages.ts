/** Lists of the API, page after page. */
import type { Shape } from './shape.ts';
import type { Query, RequestOptions, Transport } from './transport.ts';

/** One page of a list. */
export interface Page<T> {
  items: T[];
  /** Cursor of the next page. Absent on the last one. */
  next_cursor?: string;
}

/** The part of a list to return. */
export interface PageOptions extends RequestOptions {
  /** Items per page. Default: 50, at most 500. */
  limit?: number;
  /** `next_cursor` of the previous page. */
  cursor?: string | undefined;
}

/** The shape of a page of such items. */
export function pageOf<T>(item: Shape<T>): Shape<Page<T>> {
  return { items: [item], 'next_cursor?': 'string' };
}

/** A list of the API: its path, the shape of its items, and the page to begin with. */
interface ListSource<T> {
  path: string;
  item: Shape<T>;
  query?: Query;
  options: PageOptions;
}

/** A list. Awaiting it returns one page; iterating over it yields every item of every page. */
export class List<T> implements PromiseLike<Page<T>>, AsyncIterable<T> {
  readonly #transport: Transport;
  readonly #source: ListSource<T>;

  constructor(transport: Transport, source: ListSource<T>) {
    this.#transport = transport;
    this.#source = source;
  }

  // biome-ignore lint/suspicious/noThenProperty: awaiting a list is asking for a page of it
  then<A = Page<T>, B = never>(
    resolved?: ((page: Page<T>) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#page(this.#source.options.cursor).then(resolved, rejected);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    let { cursor } = this.#source.options;
    do {
      const page = await this.#page(cursor);
      yield* page.items;
      cursor = page.next_cursor;
    } while (cursor !== undefined);
  }

  #page(cursor: string | undefined): Promise<Page<T>> {
    const { path, item, options, query } = this.#source;
    const call = { query: { ...query, limit: options.limit, cursor }, signal: options.signal };
    return this.#transport.json('GET', path, pageOf(item), call);
  }
}
