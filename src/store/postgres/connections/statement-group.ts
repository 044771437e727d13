/**
 * Statements that leave in one packet and end with one Sync: the database answers them in one packet too, and skips those after one that
 * fails. https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */
import pg from 'pg';
import { encodeParameter } from './parameters.ts';

export interface Statement {
  text: string;
  values?: unknown[];
  /** Prepared once for each connection under this name. */
  name?: string;
}

export interface StatementResult {
  rows: object[];
  /** The completed command, such as `COMMIT`, and the number of rows. */
  command: string;
  count: number;
}

interface Columns {
  names: readonly string[];
  parsers: readonly ((text: string) => unknown)[];
  /** A row of NULLs: copies of it are objects of one shape. */
  empty: Record<string, unknown>;
}

/** Statements that a connection has prepared, by name, with the columns of their rows. */
export type PreparedStatements = Map<string, { text: string; columns: Columns }>;

/** A statement whose caller waits. */
export interface PendingStatement {
  statement: Statement;
  resolve: (result: StatementResult) => void;
  reject: (error: Error) => void;
}

/** Returns the parser of the text of a type, given by the id of the type. */
export type TypeParserOf = (typeId: number) => (text: string) => unknown;

/** The methods of pg's connection that write messages. */
interface Wire extends Pick<pg.Connection, 'stream' | 'query' | 'sync'> {
  parse(message: { name: string; text: string }): void;
  bind(message: { statement: string; values: unknown[]; valueMapper: (value: unknown) => unknown }): void;
  describe(message: { type: 'P' }): void;
  execute(): void;
  close(message: { type: 'S'; name: string }): void;
}

/** The methods of pg's Query that its client calls: to send it, and for each message of the answer. The types of pg omit them. */
interface ClientQuery {
  submit(connection: pg.Connection): void;
  /** Replaced by the client, which ends its time limit in it. */
  callback: (error: Error | null) => void;
  handleRowDescription(message: { fields: readonly { name: string; dataTypeID: number }[] }): void;
  handleDataRow(message: { fields: readonly (string | null)[] }): void;
  handleCommandComplete(message: { text: string }): void;
  handleEmptyQuery(): void;
  handleError(error: Error): void;
  handleReadyForQuery(): void;
}

const ClientQuery = pg.Query as unknown as new (text: string) => ClientQuery;
const NO_RESULT: StatementResult = { rows: [], command: '', count: 0 };
const NO_COLUMNS: Columns = { names: [], parsers: [], empty: {} };

/**
 * One query of pg's client, which calls its methods as answers arrive. The promise of a statement settles with its own answer: a COMMIT that
 * was answered has happened, whatever follows.
 */
export class StatementGroup extends ClientQuery {
  override callback: (error: Error | null) => void = () => undefined;
  readonly statements: readonly Statement[];
  readonly #pending: readonly PendingStatement[];
  readonly #prepared: PreparedStatements;
  readonly #parserOf: TypeParserOf;
  /** Of each statement, the columns that need no description. */
  readonly #known: (Columns | undefined)[];
  #answered = 0;
  #described: Columns | undefined;
  #rows: object[] = [];
  #last = NO_RESULT;

  constructor(pending: readonly PendingStatement[], prepared: PreparedStatements, parserOf: TypeParserOf) {
    super('');
    this.statements = pending.map(({ statement }) => statement);
    this.#pending = pending;
    this.#prepared = prepared;
    this.#parserOf = parserOf;
    this.#known = this.statements.map(({ name = '', text }) => {
      const known = prepared.get(name);
      return known?.text === text ? known.columns : undefined;
    });
  }

  override submit(connection: pg.Connection): void {
    // Its types describe an older version.
    const wire = connection as unknown as Wire;
    wire.stream.cork();
    const simple = this.#simpleText();
    if (simple === undefined) {
      for (const [index, statement] of this.statements.entries()) {
        send(wire, statement, { isKnown: this.#known[index] !== undefined });
      }
      wire.sync();
    } else wire.query(simple);
    wire.stream.uncork();
  }

  override handleRowDescription({ fields }: { fields: readonly { name: string; dataTypeID: number }[] }): void {
    const names = fields.map(({ name }) => name);
    const parsers = fields.map(({ dataTypeID }) => this.#parserOf(dataTypeID));
    this.#described = { names, parsers, empty: Object.fromEntries(names.map((name) => [name, null])) };
  }

  override handleDataRow({ fields }: { fields: readonly (string | null)[] }): void {
    const { names, parsers, empty } = this.#known[this.#answered] ?? this.#described ?? NO_COLUMNS;
    const row = { ...empty };
    for (const [index, name] of names.entries()) {
      const text = fields[index] ?? null;
      if (text !== null) row[name] = parsers[index]?.(text);
    }
    this.#rows.push(row);
  }

  override handleCommandComplete({ text }: { text: string }): void {
    const [command = '', ...numbers] = text.split(' ');
    this.#last = { rows: this.#rows, command, count: Number(numbers.at(-1) ?? 0) };
    this.#rows = [];
    // Several commands in one text have one result, the last one.
    if (this.#simpleText() === undefined) this.#answer(this.#last);
  }

  override handleEmptyQuery(): void {
    this.handleCommandComplete({ text: '' });
  }

  override handleError(error: Error): void {
    const name = this.statements[this.#answered]?.name;
    // It is prepared again: its plan may have become invalid.
    if (name !== undefined) this.#prepared.delete(name);
    for (const { reject } of this.#pending.slice(this.#answered)) reject(error);
    this.#answered = this.#pending.length;
    this.callback(error);
  }

  override handleReadyForQuery(): void {
    if (this.#simpleText() !== undefined) this.#answer(this.#last);
    this.callback(null);
  }

  #answer(result: StatementResult): void {
    const answered = this.#pending[this.#answered];
    const { name, text = '' } = answered?.statement ?? {};
    if (name !== undefined && !this.#known[this.#answered]) {
      this.#prepared.set(name, { text, columns: this.#described ?? NO_COLUMNS });
    }
    this.#described = undefined;
    this.#answered += 1;
    answered?.resolve(result);
  }

  /** The text of a statement without parameters that is alone, which may have several commands: it needs no preparation. */
  #simpleText(): string | undefined {
    const [first] = this.statements;
    if (first === undefined || this.statements.length > 1) return undefined;
    const { text, name, values = [] } = first;
    return name === undefined && values.length === 0 ? text : undefined;
  }
}

function send(wire: Wire, { text, name = '', values = [] }: Statement, { isKnown }: { isKnown: boolean }): void {
  if (!isKnown) {
    // A group that failed may have prepared it.
    if (name !== '') wire.close({ type: 'S', name });
    wire.parse({ name, text });
  }
  wire.bind({ statement: name, values, valueMapper: encodeParameter });
  if (!isKnown) wire.describe({ type: 'P' });
  wire.execute();
}
