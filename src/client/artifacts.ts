/** The artifacts of one machine: files that its commands left. */
import type { ArtifactWire } from '../api/artifact.ts';
import { backoffMs, pause } from './http/backoff.ts';
import { isRetryable } from './http/errors.ts';
import { List, type PageOptions } from './http/pages.ts';
import { readChunks } from './http/read-chunks.ts';
import type { RequestOptions, Transport } from './http/transport.ts';
import { ARTIFACT } from './http/shapes.ts';

export interface ListArtifactsOptions extends PageOptions {
  executionId?: string | undefined;
}

const SILENCE_MS = 60_000;
const MAX_FAILURES = 10;
const RECONNECT = { firstMs: 100, maxMs: 5000 };

/** The artifacts of one machine. */
export class Artifacts {
  readonly #transport: Transport;
  readonly #path: string;

  constructor(transport: Transport, machineId: string) {
    this.#transport = transport;
    this.#path = `/v1/machines/${encodeURIComponent(machineId)}/artifacts`;
  }

  /** Lists artifacts, newest first. */
  list(options: ListArtifactsOptions = {}): List<ArtifactWire> {
    const { executionId, ...page } = options;
    return new List(this.#transport, {
      path: this.#path,
      item: ARTIFACT,
      query: { execution_id: executionId },
      options: page,
    });
  }

  get(artifactId: string, { signal }: RequestOptions = {}): Promise<ArtifactWire> {
    return this.#transport.json('GET', this.#at(artifactId), ARTIFACT, { signal });
  }

  delete(artifactId: string, { signal }: RequestOptions = {}): Promise<ArtifactWire> {
    return this.#transport.json('DELETE', this.#at(artifactId), ARTIFACT, { signal });
  }

  /** Yields the bytes, piece by piece. A broken connection is resumed at the byte. Compare `sha256` to check them. */
  async *content(artifact: ArtifactWire, signal?: AbortSignal): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    let offset = 0;
    for (let failures = 0; offset < artifact.size_bytes; ) {
      try {
        for await (const piece of this.#openAt(artifact, offset, signal)) {
          offset += piece.length;
          failures = 0;
          yield piece;
        }
      } catch (cause) {
        signal?.throwIfAborted();
        failures += 1;
        if (!isRetryable(cause) || failures > MAX_FAILURES) throw cause;
        await pause(backoffMs(failures, RECONNECT), signal);
      }
    }
  }

  async *#openAt(artifact: ArtifactWire, offset: number, signal: AbortSignal | undefined) {
    const headers = { accept: 'application/octet-stream', range: `bytes=${offset}-` };
    const response = await this.#transport.open('GET', `${this.#at(artifact.artifact_id)}/content`, {
      headers,
      signal,
    });
    yield* readChunks(response, { origin: this.#transport.origin, silenceMs: SILENCE_MS });
  }

  #at(artifactId: string): string {
    return `${this.#path}/${encodeURIComponent(artifactId)}`;
  }
}
