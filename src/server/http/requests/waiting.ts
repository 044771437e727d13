/** `?wait_ms=`: the answer waits for the end, bounded, and for nobody who has gone. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isTerminal } from '../../../core/execution.ts';
import type { Execution } from '../../../store/store.ts';
import type { HttpContext } from '../http-context.ts';
import { assertKeyStillValid } from './open-requests.ts';

/** Takes the place in line before anything is done, so that a refusal (429) leaves nothing behind. */
export function prepareWait(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  waitMs: number | undefined,
) {
  const signal = waitMs === undefined || waitMs === 0 ? undefined : context.openRequests.open(request, reply);
  return {
    /** The execution once it has ended, or as it is when the time is over. Throws AUTH_INVALID where the key died. */
    async forEnd(execution: Execution): Promise<Execution> {
      if (signal === undefined || isTerminal(execution.status)) return execution;
      const latest = await context.control.waitForEnd({ execution, waitMs: waitMs ?? 0, signal });
      assertKeyStillValid(signal);
      return latest;
    },
  };
}
