/** Queries runners for the usage of commands so far. Queries about the same command share one answer. */
import type { UsageFrame } from '../../../core/protocol.ts';
import type { UsagePayload } from '../../../core/report.ts';
import type { Execution } from '../../../store/store.ts';
import type { UsageListener } from '../agents/session-deps.ts';

/** Time limit for an answer, ms. A runner answers immediately, unless its link is broken or it hangs. */
const ANSWER_TIMEOUT_MS = 2000;

interface OpenQuery {
  machineId: string;
  answer: Promise<UsagePayload | undefined>;
  settle: (usage: UsagePayload | undefined) => void;
}

type Asked = Pick<Execution, 'machineId' | 'executionId'>;

/** The queries that wait for their answers. */
export class UsageQueries implements UsageListener {
  readonly #open = new Map<string, OpenQuery>();

  /** Settles with the answer; undefined without one. `send`: sends the query, and returns false if that is not possible. */
  ask({ machineId, executionId }: Asked, send: () => boolean): Promise<UsagePayload | undefined> {
    const openQuery = this.#open.get(executionId);
    if (openQuery !== undefined) return openQuery.answer;
    if (!send()) return Promise.resolve(undefined);
    const { promise: answer, resolve } = Promise.withResolvers<UsagePayload | undefined>();
    const timer = setTimeout(() => settle(undefined), ANSWER_TIMEOUT_MS);
    const settle = (usage: UsagePayload | undefined): void => {
      clearTimeout(timer);
      this.#open.delete(executionId);
      resolve(usage);
    };
    this.#open.set(executionId, { machineId, answer, settle });
    return answer;
  }

  /** Handles the answer of a machine's runner. An answer about a command of another machine is ignored. */
  answered(machineId: string, { execution_id: executionId, usage }: UsageFrame): void {
    const question = this.#open.get(executionId);
    if (question?.machineId === machineId) question.settle(usage);
  }
}
