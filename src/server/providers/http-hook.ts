/** A provider that is an HTTP endpoint. The request is a POST, signed like callbacks; the answer is the body. */
import type { ProviderAnswer, ProviderRequest } from '../control/lifecycle/provider.ts';
import { signedHeaders } from '../operations/webhooks/signature.ts';
import { failure, MAX_ANSWER_BYTES, readAnswer, withoutToken } from './answer.ts';

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
    const text = await bounded(response);
    return answerOf(response.status, text === undefined ? undefined : withoutToken(text, request));
  } catch (cause) {
    const timedOut = cause instanceof Error && cause.name === 'TimeoutError';
    const reason = timedOut ? `did not answer within ${timeoutMs} ms` : `could not be asked: ${messageOf(cause)}`;
    return failure(`the endpoint ${reason}`, true);
  }
}

function answerOf(status: number, text: string | undefined): ProviderAnswer {
  if (text === undefined) return failure(`the endpoint answered more than ${MAX_ANSWER_BYTES} bytes`, true);
  const answer = readAnswer(text);
  if (answer !== undefined) return answer;
  if (status === 202) return { ok: true, state: 'pending' };
  const body = text === '' ? '' : `: ${text}`;
  return failure(`the endpoint answered ${status}${hintOf(status)}${body}`, isRetryable(status));
}

/** Says what is wrong about an answer whose status does not. */
function hintOf(status: number): string {
  if (status >= 300 && status < 400) return ', a redirect, which is not followed';
  return status < 300 ? ' without a valid answer' : '';
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
