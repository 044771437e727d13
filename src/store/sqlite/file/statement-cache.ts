/** Keeps statements whose text depends on the request: to prepare one takes longer than to run it. */
import type Sqlite from 'better-sqlite3';
import type { Database } from './database.ts';

/** Maximum number of statements that are kept. The text of a list depends on the number and the kinds of its filters. */
const MAX_KEPT = 64;

/** Prepares each statement once, and forgets the one that was prepared first when they become too many. */
export class StatementCache {
  private readonly kept = new Map<string, Sqlite.Statement>();
  private readonly db: Database;

  constructor(db: Database) {
    this.db = db;
  }

  /** Returns the statement of this text, which yields rows. Its rows must be read before it runs again. */
  rows<Parameters extends unknown[], Row>(text: string): Sqlite.Statement<Parameters, Row> {
    return this.find(text) as Sqlite.Statement<Parameters, Row>;
  }

  /** Returns the statement of this text, which yields the first column of each row. */
  values<Parameters extends unknown[], Value>(text: string): Sqlite.Statement<Parameters, Value> {
    return this.find(text).pluck() as Sqlite.Statement<Parameters, Value>;
  }

  private find(text: string): Sqlite.Statement {
    const found = this.kept.get(text);
    if (found !== undefined) return found;
    const statement = this.db.prepare(text);
    const [oldest] = this.kept.keys();
    if (this.kept.size === MAX_KEPT && oldest !== undefined) this.kept.delete(oldest);
    this.kept.set(text, statement);
    return statement;
  }
}
