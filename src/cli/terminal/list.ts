import { type Command, InvalidArgumentError } from 'commander';
import type { Page } from '../../client/main.ts';
import { print, printError } from '../streams/output.ts';
import { type Column, printJson, printTable } from './print.ts';

export interface ListOptions {
  limit?: number;
  all?: true;
  json?: true;
  quiet?: true;
}

const MAX_PAGE = 500;

/** Gives a list command its options. */
export function addListOptions(command: Command): Command {
  return command
    .option('--limit <n>', 'show at most n items (default 50)', parseCount)
    .option('--all', 'show all items')
    .option('-q, --quiet', 'print only the ids, one per line')
    .option('--json', 'print {"items": [...]} for programs');
}

/** Prints a list of the API, page after page up to the limit. */
export async function printList<T>(
  pageOf: (page: { limit: number; cursor: string | undefined }) => PromiseLike<Page<T>>,
  options: ListOptions,
  /** The first column is the id. */
  shown: { columns: readonly Column<T>[]; none: string },
): Promise<void> {
  const limit = options.all ? Number.POSITIVE_INFINITY : (options.limit ?? 50);
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const page: Page<T> = await pageOf({ limit: Math.min(MAX_PAGE, limit - items.length), cursor });
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== undefined && items.length < limit);
  if (options.json) {
    printJson({ items, ...(cursor === undefined ? {} : { next_cursor: cursor }) });
    return;
  }
  if (options.quiet) {
    print(items.map((item) => `${shown.columns[0]?.value(item)}\n`).join(''));
    return;
  }
  printTable(items, shown.columns, shown.none);
  if (cursor !== undefined) printError(`There are more: --limit or --all shows them.\n`);
}

/** Parses a whole number from 0 on. Throws InvalidArgumentError, which commander prints. */
export function parseWholeNumber(text: string): number {
  if (!/^(0|[1-9]\d{0,8})$/.test(text)) throw new InvalidArgumentError('It must be a whole number, 0 or more.');
  return Number(text);
}

/** Parses a whole number from 1 on. Throws InvalidArgumentError, which commander prints. */
export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a whole number, 1 or more.');
  return Number(text);
}
