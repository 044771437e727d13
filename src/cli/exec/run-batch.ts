/** `execplane exec --label`: runs a command on many machines, and prints the output of each. */
import { type Batch, type CreateBatch, type Execplane, type Execution, hasEnded } from '../../client/main.ts';
import { print, printError } from '../streams/output.ts';
import { OutputPrinter } from '../streams/output-printer.ts';
import { PrefixedLines } from '../streams/prefixed-lines.ts';
import { countsText } from '../terminal/batch-words.ts';
import { resultWord } from '../terminal/execution-words.ts';
import { printJson } from '../terminal/print.ts';
import { untilReached } from './absent-server.ts';
import { EXECPLANE_FAILED, failureExitCode } from './exit-code.ts';
import { Interruption } from '../terminal/interruption.ts';
import { assertAllKept } from './kept-output.ts';

/** Interval between polls for new executions. */
const POLL_MS = 500;
/** Executions followed at once. The output of the others is printed later: the server keeps it. */
const MAX_FOLLOWED = 64;

/** Runs a batch to its end. Returns the exit code. Prints its own failures. */
export async function runBatch(
  client: Execplane,
  request: CreateBatch,
  { json = false, detach = false }: { json?: boolean; detach?: boolean },
): Promise<number> {
  const interruption = new Interruption();
  try {
    const { batch_id: batchId } = await client.batches.create(request);
    if (detach) {
      print(`${batchId}\n`);
      return 0;
    }
    interruption.arm(() => client.batches.cancel(batchId));
    const run = new BatchRun(client, batchId, json);
    const batch = await run.untilEnd();
    if (json) printJson(batch);
    else run.summarise(batch);
    return interruption.exitCode ?? (run.incomplete ? EXECPLANE_FAILED : batch.status === 'succeeded' ? 0 : 1);
  } catch (error) {
    return failureExitCode(error, interruption.exitCode);
  } finally {
    interruption.dispose();
  }
}

/** One batch whose output is printed. */
class BatchRun {
  readonly #client: Execplane;
  readonly #batchId: string;
  readonly #json: boolean;
  readonly #lines = new PrefixedLines(new OutputPrinter());
  readonly #ended = new AbortController();
  readonly #failure = Promise.withResolvers<never>();
  readonly #listed = new Set<string>();
  readonly #waiting: Execution[] = [];
  readonly #following = new Set<Promise<void>>();
  /** Executions that did not succeed, for the summary. */
  readonly #failed: Execution[] = [];
  /** Cursor of the page of executions that is not full yet. */
  #cursor: string | undefined;
  /** True if some output is missing. */
  incomplete = false;

  constructor(client: Execplane, batchId: string, json: boolean) {
    this.#client = client;
    this.#batchId = batchId;
    this.#json = json;
    this.#failure.promise.catch(() => {});
  }

  /** Prints the output of its executions until all have ended. Cancels the batch if that fails. */
  async untilEnd(): Promise<Batch> {
    try {
      return await Promise.race([this.#watch(), this.#failure.promise]);
    } catch (error) {
      await this.#client.batches.cancel(this.#batchId).catch(() => {});
      throw error;
    } finally {
      this.#ended.abort();
    }
  }

  /** Prints a summary to stderr: the counts, and the executions that did not succeed. */
  summarise({ batch_id: batchId, status, counts }: Batch): void {
    for (const execution of this.#failed) {
      const end = [execution.status, resultWord(execution)].filter(Boolean).join(', ');
      printError(`execplane: ${execution.machine_id}: ${end} (${execution.execution_id})\n`);
    }
    printError(`execplane: ${batchId} ${status}: ${countsText(counts)}\n`);
  }

  async #watch(): Promise<Batch> {
    const { signal } = this.#ended;
    for (;;) {
      const batch = await untilReached(
        () => this.#client.batches.get(this.#batchId, { waitMs: POLL_MS, signal }),
        signal,
      );
      if (!this.#json) await this.#findNew();
      if (batch.status === 'running') continue;
      while (this.#following.size > 0) await Promise.all(this.#following);
      return batch;
    }
  }

  async #findNew(): Promise<void> {
    const { signal } = this.#ended;
    for (;;) {
      const query = { cursor: this.#cursor, limit: 500, signal };
      const page = await untilReached(() => this.#client.batches.executions(this.#batchId, query), signal);
      this.#waiting.push(...page.items.filter(({ execution_id: id }) => !this.#listed.has(id)));
      for (const { execution_id: id } of page.items) this.#listed.add(id);
      this.#followMore();
      if (page.next_cursor === undefined) return;
      this.#cursor = page.next_cursor;
    }
  }

  #followMore(): void {
    while (this.#following.size < MAX_FOLLOWED) {
      const execution = this.#waiting.shift();
      if (execution === undefined) return;
      const following = this.#follow(execution)
        .catch(this.#failure.reject)
        .finally(() => {
          this.#following.delete(following);
          this.#followMore();
        });
      this.#following.add(following);
    }
  }

  async #follow({ machine_id: machineId, execution_id: executionId }: Execution): Promise<void> {
    const { signal } = this.#ended;
    const handle = this.#client.machine(machineId).execution(executionId);
    const output = this.#lines.of(`${machineId}: `);
    for await (const event of handle.events({ signal })) {
      if (event.type !== 'lifecycle') await output.push(event.type, event.chunk ?? new Uint8Array());
      else if (hasEnded(event)) await output.end();
    }
    const execution = await untilReached(() => handle.get({ signal }), signal);
    if (execution.status !== 'succeeded') this.#failed.push(execution);
    this.#assertComplete(execution);
  }

  /** Prints at once if the server did not keep all of the output. */
  #assertComplete(execution: Execution): void {
    try {
      assertAllKept(execution);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.incomplete = true;
      printError(`execplane: ${execution.machine_id}: ${error.message}\n`);
    }
  }
}
