/** The output of a finished execution as JSON text, written piece by piece as it is read from the store. */
import type { OutputQuery } from '../../../api/output.ts';
import type { Execution, Store } from '../../../store/store.ts';
import { base64Text, readKept, utf8Text, wholeCharacterFrom } from './stream-bytes.ts';

type StoredOutput = Pick<Store, 'outputBounds' | 'readStream'>;

/** The object of `GET …/output`. `query` chooses its encoding, and how much of each stream. */
export async function* outputJson(
  store: StoredOutput,
  execution: Execution,
  query: OutputQuery,
): AsyncGenerator<string> {
  yield `{"execution_id":${JSON.stringify(execution.executionId)},"stdout":"`;
  yield* streamText(store, execution, 'stdout', query);
  yield '","stderr":"';
  yield* streamText(store, execution, 'stderr', query);
  const { stdout, stderr } = execution;
  yield `","stdout_bytes":${stdout.bytes},"stderr_bytes":${stderr.bytes}`;
  yield `,"stdout_truncated":${stdout.truncated},"stderr_truncated":${stderr.truncated}}`;
}

/** Bytes kept of both streams together. */
export async function outputBytes(store: StoredOutput, { executionId }: Execution): Promise<number> {
  const kept = await Promise.all([
    store.outputBounds({ executionId, stream: 'stdout' }),
    store.outputBounds({ executionId, stream: 'stderr' }),
  ]);
  return kept.reduce((sum, { start, end }) => sum + end - start, 0);
}

async function* streamText(
  store: StoredOutput,
  { executionId }: Execution,
  stream: 'stdout' | 'stderr',
  { encoding, tail }: OutputQuery,
): AsyncGenerator<string> {
  const { start: first, end } = await store.outputBounds({ executionId, stream });
  const start =
    tail === undefined || tail >= end - first
      ? first
      : await wholeCharacterFrom(store, { executionId, stream, offset: end - tail });
  const bytes = readKept(store, { executionId, stream, start, end });
  yield* encoding === 'base64' ? base64Text(bytes) : utf8Text(bytes);
}
