/** Executions. */
import { queryOptions } from '@tanstack/react-query';
import type { ExecutionWire } from '../../api/execution.ts';
import { isTerminal } from '../../core/execution.ts';
import { transport } from './client.ts';
import { machinePath } from './machines.ts';
import { EXECUTION } from '../../client/http/shapes.ts';

const LIVE_MS = 1000;

export type Execution = ExecutionWire;

/** Path of the executions of a machine in the API. */
export function executionsPath(machineId: string): string {
  return `${machinePath(machineId)}/executions`;
}

/** Path of an execution in the API. */
export function executionPath(machineId: string, executionId: string): string {
  return `${executionsPath(machineId)}/${encodeURIComponent(executionId)}`;
}

/** The query of an execution, refreshed until it has ended. */
export function executionQuery(machineId: string, executionId: string) {
  return queryOptions({
    queryKey: ['execution', machineId, executionId],
    queryFn: ({ signal }): Promise<Execution> =>
      transport.json('GET', executionPath(machineId, executionId), EXECUTION, {
        query: { include: 'usage,reason' },
        signal,
      }),
    refetchInterval: ({ state }) => (state.data !== undefined && isTerminal(state.data.status) ? false : LIVE_MS),
  });
}
