/** Questions to runners: what has a command used so far? Questions about the same command share one answer. */
import type { UsageFrame } from '../../../core/protocol.ts';
import type { UsagePayload } from '../../../core/report.ts';
import type { Execution } from '../../../store/store.ts';
import type { UsageListener } from '../agents/session-deps.ts';

/** A runner answers at once. Its silence means that its link is broken, or that it hangs. */
const ANSWER_TIMEOUT_MS = 2000;

interface Question {
  machineId: string;
  answer: Promise<UsagePayload | undefined>;
  settle: (usage: UsagePayload | undefined) => void;
}

type Asked = Pick<Execution, 'machineId' | 'executionId'>;

/** The questions that wait for their answers. */
export class UsageQueries implements UsageListener {
  readonly #open = new Map<string, Question>();

  /** Settles with the answer; undefined if there is none. `send`: sends the question, and returns false if that is not possible. */
  ask({ machineId, executionId }: Asked, send: () => boolean): Promise<UsagePayload | undefined> {
    const asked = this.#open.get(executionId);
    if (asked !== undefined) return asked.answer;
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

  /** The runner of a machine has answered. An answer about a command of another machine counts for nothing. */
  answered(machineId: string, { execution_id: executionId, usage }: UsageFrame): void {
    const question = this.#open.get(executionId);
    if (question?.machineId === machineId) question.settle(usage);
  }
}
