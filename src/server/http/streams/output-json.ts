/** Produces the output of a finished execution as JSON text, in pieces, as it is read from the store. */
import type { OutputQuery } from '../../../api/output.ts';
import type { Execution, Store } from '../../../store/store.ts';
import { base64Text, fromWholeCharacter, readKept, utf8Text, wholeCharacterFrom } from './stream-bytes.ts';

type StoredOutput = Pick<Store, 'outputBounds' | 'readStream' | 'outputTail'>;

/** Options: the bytes of each stream, their encoding, and whether the tail of a truncated stream is included. */
type OutputOptions = Pick<OutputQuery, 'encoding' | 'tail'> & { include?: readonly string[] };

/** Yields the object of `GET …/output`. */
export async function* outputJson(
  store: StoredOutput,
  execution: Execution,
  query: OutputOptions,
): AsyncGenerator<string> {
  yield `{"execution_id":${JSON.stringify(execution.executionId)},"stdout":"`;
  yield* streamText(store, execution, 'stdout', query);
  yield '","stderr":"';
  yield* streamText(store, execution, 'stderr', query);
  yield '"';
  for (const stream of ['stdout', 'stderr'] as const) yield* tailMember(store, execution, stream, query);
  const { stdout, stderr } = execution;
  yield `,"stdout_bytes":${stdout.bytes},"stderr_bytes":${stderr.bytes}`;
  yield `,"stdout_truncated":${stdout.truncated},"stderr_truncated":${stderr.truncated}}`;
}

/** Returns the number of kept bytes of both streams together. */
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
  { encoding, tail }: OutputOptions,
): AsyncGenerator<string> {
  const { start: first, end } = await store.outputBounds({ executionId, stream });
  const start =
    tail === undefined || tail >= end - first
      ? first
      : await wholeCharacterFrom(store, { executionId, stream, offset: end - tail });
  const bytes = readKept(store, { executionId, stream, start, end });
  yield* encoding === 'base64' ? base64Text(bytes) : utf8Text(bytes);
}

/** Yields the member with the tail of a truncated stream, if it is requested and known. */
async function* tailMember(
  store: StoredOutput,
  execution: Execution,
  stream: 'stdout' | 'stderr',
  { encoding, include = [] }: OutputOptions,
): AsyncGenerator<string> {
  if (!include.includes('tail') || !execution[stream].truncated) return;
  const bytes = await store.outputTail({ executionId: execution.executionId, stream });
  if (bytes === undefined) return;
  yield `,"${stream}_tail":`;
  yield JSON.stringify(encoding === 'base64' ? bytes.toString('base64') : fromWholeCharacter(bytes).toString('utf8'));
}
