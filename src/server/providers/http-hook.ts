/** A provider that is an HTTP endpoint. The request is a POST, signed like callbacks; the answer is the body. */
import type { ProviderAnswer, ProviderRequest } from '../control/lifecycle/provider.ts';
import { signedHeaders } from '../operations/webhooks/signature.ts';
import { failure, MAX_ANSWER_BYTES, readAnswer } from './answer.ts';

export interface HttpHook {
  url: string;
  /** `whsec_…`. */
  secret: string;
  timeoutMs: number;
  /** ms since the epoch. Receivers refuse a signature whose time is minutes off. */
  now: () => number;
}

/** Calls the endpoint once, within the time limit. Redirects are not followed: the request contains a join token. */
export async function runHttpHook(
  { url, secret, timeoutMs, now }: HttpHook,
  request: ProviderRequest,
  signal: AbortSignal,
): Promise<ProviderAnswer> {
  const body = JSON.stringify(request);
  try {
    const response = await fetch(url, {
      method: 'POST',
      body,
      headers: {
        'content-type': 'application/json',
        ...signedHeaders(secret, { id: request.operation_id, at: now(), body }),
      },
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    return answerOf(response.status, await bounded(response));
  } catch (cause) {
    const timedOut = cause instanceof Error && cause.name === 'TimeoutError';
    return failure(timedOut ? `the endpoint did not answer within ${timeoutMs} ms` : messageOf(cause), true);
  }
}

function answerOf(status: number, text: string | undefined): ProviderAnswer {
  if (text === undefined) return failure(`the endpoint answered more than ${MAX_ANSWER_BYTES} bytes`, true);
  const answer = readAnswer(text);
  if (answer !== undefined) return answer;
  if (status === 202) return { ok: true, state: 'pending' };
  return failure(`the endpoint answered ${status}: ${text}`, isRetryable(status));
}

function isRetryable(status: number): boolean {
  return status === 408 || status === 409 || status === 429 || status >= 500;
}

/** Returns the body. Undefined if it exceeds the maximum size of an answer. */
async function bounded(response: Response): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Returns the reason of a failed request. fetch reports that of a failed connection as its cause. */
function messageOf(error: unknown): string {
  const { cause, message } = error as Error;
  return cause instanceof Error ? cause.message : message;
}
