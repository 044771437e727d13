/** Answers with one Execution: after its end with `wait_ms`, and together with its output with `include=output`. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ExecutionQuery, ExecutionWire } from '../../../api/execution.ts';
import { isTerminal } from '../../../core/execution.ts';
import type { Execution } from '../../../store/store.ts';
import type { HttpContext } from '../http-context.ts';
import { assertKeyStillValid } from '../requests/open-requests.ts';
import { replyJsonText } from './json-reply.ts';
import { outputBytes, outputJson } from './output-json.ts';
import { executionReasonWire } from '../replies/reasons.ts';
import { wakeRetryAfterMs } from '../replies/wake-retry.ts';
import { executionWire } from '../replies/wire.ts';

/** Sends an Execution as the answer of a request. */
export type SendExecution = (execution: Execution) => Promise<ExecutionWire | FastifyReply>;

/** Prepares the answer. Call it before any action: a request that may not wait is refused here (429) and has no effect. */
export function prepareExecutionReply(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  query: ExecutionQuery,
): SendExecution {
  const { wait_ms: waitMs = 0, include = [] } = query;
  const signal = waitMs > 0 ? context.openRequests.open(request, reply) : undefined;

  const afterWait = async (execution: Execution): Promise<Execution> => {
    if (signal === undefined || isTerminal(execution.status)) return execution;
    const latest = await context.control.waitForEnd({ execution, waitMs, signal });
    assertKeyStillValid(signal);
    return latest;
  };
  return async (created) => {
    const execution = await afterWait(created);
    const wire = executionWire(execution, await wakeRetryAfterMs(context, execution));
    const usage = include.includes('usage') ? await context.control.usage(execution) : undefined;
    if (usage !== undefined) wire.usage = usage;
    if (include.includes('reason')) wire.reason = await executionReasonWire(context, execution);
    if (!include.includes('output') || !isTerminal(execution.status)) return wire;
    const chunks = withOutput(wire, outputJson(context.store, execution, query));
    return replyJsonText(context, request, reply, {
      chunks,
      outputBytes: await outputBytes(context.store, execution),
      signal,
    });
  };
}

async function* withOutput(wire: ExecutionWire, output: AsyncIterable<string>): AsyncGenerator<string> {
  yield `${JSON.stringify(wire).slice(0, -1)},"output":`;
  yield* output;
  yield '}';
}
