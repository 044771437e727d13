import { ExecplaneError } from './errors.ts';

/**
 * Yields the body of a response in pieces. Throws if it breaks off, or if no piece arrives for `silenceMs` during a read. The time that the
 * caller takes for a piece does not count.
 */
export async function* readChunks(response: Response, silenceMs: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      const { done, value } = await beforeSilence(reader.read(), silenceMs);
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function beforeSilence<T>(next: Promise<T>, silenceMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new ExecplaneError(`no data came for ${silenceMs} ms`)), silenceMs);
    next.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
