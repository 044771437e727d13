/** Counts the rows that statements read, by EXPLAIN ANALYZE. */
import type pg from 'pg';
import type { Statement } from '../../../src/store/postgres/connections/statement-group.ts';

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  'Rows Removed by Index Recheck'?: number;
  Plans?: Plan[];
}

/** Runs a statement. Returns the number of rows that its scans have read, of one table or of all. */
export async function rowsTouchedBy(
  explainer: pg.Client,
  { text, values = [] }: Statement,
  table?: string,
): Promise<number> {
  const explain = { text: `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${text}`, values };
  const { rows } = await explainer.query<{ 'QUERY PLAN': { Plan: Plan }[] }>(explain);
  const plan = rows[0]?.['QUERY PLAN'][0]?.Plan;
  if (plan === undefined) throw new Error('there is no plan');
  return touchedIn(plan, table);
}

/** The number of rows that the scans of a plan have read, including rows that a filter removed. */
function touchedIn(plan: Plan, table?: string): number {
  const removed = (plan['Rows Removed by Filter'] ?? 0) + (plan['Rows Removed by Index Recheck'] ?? 0);
  const counts = plan['Node Type'].includes('Scan') && (table === undefined || plan['Relation Name'] === table);
  const own = counts ? (plan['Actual Rows'] + removed) * plan['Actual Loops'] : 0;
  return (plan.Plans ?? []).reduce((sum, part) => sum + touchedIn(part, table), own);
}
