/** Machines. The list is loaded whole, so that it can be searched as the user types. */
import { queryOptions } from '@tanstack/react-query';
import type { MachineDetailWire } from '../../api/machine.ts';
import { pageOf } from '../../client/http/pages.ts';
import { transport } from './client.ts';
import { LIVE_MS } from './lists.ts';
import { MACHINE, MACHINE_DETAIL } from '../../client/http/shapes.ts';

const PAGE_ITEMS = 500;
const INCLUDED = 'name,labels,facts,provider';
/** A list of thousands is refreshed less often. */
const MS_PER_MACHINE = 10;

export type Machine = MachineDetailWire;

export const machinesQuery = queryOptions({
  queryKey: ['machines'],
  queryFn: async ({ signal }): Promise<Machine[]> => {
    const machines: Machine[] = [];
    let cursor: string | undefined;
    do {
      const query = { limit: PAGE_ITEMS, cursor, include: INCLUDED };
      const page = await transport.json('GET', '/v1/machines', pageOf(MACHINE), { query, signal });
      machines.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor !== undefined);
    return machines;
  },
  refetchInterval: ({ state }) => Math.max(LIVE_MS, (state.data?.length ?? 0) * MS_PER_MACHINE),
});

/** The query for one machine. */
export function machineQuery(machineId: string) {
  return queryOptions({
    queryKey: ['machines', machineId],
    queryFn: ({ signal }): Promise<Machine> =>
      transport.json('GET', machinePath(machineId), MACHINE_DETAIL, { query: { include: INCLUDED }, signal }),
    refetchInterval: LIVE_MS,
  });
}

/** Path of a machine in the API. */
export function machinePath(machineId: string): string {
  return `/v1/machines/${encodeURIComponent(machineId)}`;
}
