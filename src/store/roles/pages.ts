/** A page may hold fewer items than were asked for if they are large, but at least one of those that there are. */
export interface Page<T> {
  items: T[];
  /** Where the next page starts; absent on the last one. */
  next?: number;
}

export interface PageRequest {
  limit: number;
  /** A `next` of the page before. */
  after?: number;
}
