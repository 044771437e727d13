/** Batches: one command on many machines. */
import type { BatchWire, CreateBatch } from '../../api/batch.ts';
import type { ExecutionWire } from '../../api/execution.ts';
import { List, type PageOptions } from '../http/pages.ts';
import type { RequestOptions, Transport } from '../http/transport.ts';
import { BATCH, EXECUTION } from '../http/shapes.ts';

interface WaitOptions extends RequestOptions {
  /** Time that the server may wait for the end of the batch before it answers, in ms; at most 55 000. */
  waitMs?: number;
}

/** `/v1/batches`. */
export class Batches {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Starts a command on the machines that the selector names, or that match it now. */
  create(body: CreateBatch, { signal }: RequestOptions = {}): Promise<BatchWire> {
    return this.#transport.json('POST', '/v1/batches', BATCH, { body, signal });
  }

  /** Lists batches, newest first. */
  list(options: PageOptions = {}): List<BatchWire> {
    return new List(this.#transport, { path: '/v1/batches', item: BATCH, options });
  }

  /** Returns the batch now, or when it has ended or `waitMs` have passed. */
  get(batchId: string, { waitMs, signal }: WaitOptions = {}): Promise<BatchWire> {
    return this.#transport.json('GET', batchPath(batchId), BATCH, { query: { wait_ms: waitMs }, signal });
  }

  /** Lists its executions so far, in the order of its machines. */
  executions(batchId: string, options: PageOptions = {}): List<ExecutionWire> {
    return new List(this.#transport, { path: `${batchPath(batchId)}/executions`, item: EXECUTION, options });
  }

  /** Cancels the batch: starts no more executions, and cancels those that wait or run. Does nothing after the end. */
  cancel(batchId: string, { waitMs, signal }: WaitOptions = {}): Promise<BatchWire> {
    return this.#transport.json('DELETE', batchPath(batchId), BATCH, { query: { wait_ms: waitMs }, signal });
  }
}

function batchPath(batchId: string): string {
  return `/v1/batches/${encodeURIComponent(batchId)}`;
}
