/** A page may have fewer items than requested if they are large, but has at least one if one exists. */
export interface Page<T> {
  items: T[];
  /** Cursor of the next page. Absent on the last one. */
  next?: number;
}

export interface PageRequest {
  limit: number;
  /** `next` of the previous page. */
  after?: number;
}
