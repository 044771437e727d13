import { RefusedError, UnexpectedAnswerError, UnreachableError } from '../../client/main.ts';

/** Maximum duration of an outage of the server, ms, as for clients that follow an execution. */
const OUTAGE_MS = 300_000;

/** Repeats a request until the server answers; each attempt takes its own time and pauses. Throws the last error after five minutes. */
export async function untilReached<T>(ask: () => PromiseLike<T>, signal?: AbortSignal): Promise<T> {
  const since = performance.now();
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      signal?.throwIfAborted();
      if (!mayComeBack(error) || performance.now() - since > OUTAGE_MS) throw error;
    }
  }
}

function mayComeBack(error: unknown): boolean {
  if (error instanceof RefusedError || error instanceof UnexpectedAnswerError) return error.retryable;
  return error instanceof UnreachableError;
}
