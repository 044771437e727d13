/** Carries out orders of other servers for machines whose connections this server holds, and answers them. */
import type { Logger } from 'pino';
import { LOG_KEY } from '../../../node/log-keys.ts';
import type { ClusterStore, ExecutionStore, ReceivedOrder } from '../../../store/store.ts';
import { pause } from '../../pause.ts';
import type { LocalCommands } from '../commands/machine-commands.ts';
import type { HintChannel } from './hint-channel.ts';
import { type Answer, type Ask, type OrderBody, readOrderBody } from './order-schemas.ts';

/** The longest time that stdin of another server's client waits here for its runner. */
const STDIN_TIMEOUT_MS = 50_000;
/** Time for which an answer is written again if the database cannot be reached, ms. No caller waits longer. */
const ANSWER_FOR_MS = 60_000;
const ANSWER_RETRY_MS = 1000;
const NOTHING = Buffer.alloc(0);

type StdinAsk = Extract<Ask, { kind: 'stdin' | 'numbered_stdin' }>;

export interface OrderDeskDeps {
  cluster: Pick<ClusterStore, 'takeOrders' | 'answerOrder'>;
  store: Pick<ExecutionStore, 'getExecution'>;
  local: LocalCommands;
  hints: Pick<HintChannel, 'send'>;
  log: Pick<Logger, 'warn'>;
}

/** Carries out the orders in this server's inbox, each once. */
export class OrderDesk {
  readonly #deps: OrderDeskDeps;
  /** The orders that are taken and not answered yet, by id. The database returns them until they are answered. */
  readonly #working = new Map<number, Promise<void>>();
  readonly #stop = new AbortController();
  #taking: Promise<void> | undefined;
  #takeAgain = false;

  constructor(deps: OrderDeskDeps) {
    this.#deps = deps;
  }

  /** Reads the orders in the inbox and carries them out concurrently. One read at a time: two would return the same orders. */
  takeOrders(): Promise<void> {
    this.#takeAgain = true;
    this.#taking ??= this.#take().finally(() => {
      this.#taking = undefined;
    });
    return this.#taking;
  }

  /** Settles when nothing is under way. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#working.values());
  }

  async #take(): Promise<void> {
    while (this.#takeAgain) {
      this.#takeAgain = false;
      for (const order of await this.#deps.cluster.takeOrders({ known: [...this.#working.keys()] })) {
        const { orderId } = order;
        const work = this.#carryOut(order).finally(() => this.#working.delete(orderId));
        this.#working.set(orderId, work);
      }
    }
  }

  /** Never rejects. */
  async #carryOut(order: ReceivedOrder): Promise<void> {
    const { orderId, machineId } = order;
    const body = readOrderBody(order.body);
    if (body === undefined) {
      this.#deps.log.warn(
        { [LOG_KEY.machineId]: machineId },
        'an order of another server is malformed, and its request fails: run servers of neighbouring versions only',
      );
      await this.#write(orderId, { outcome: 'agent_away' });
      return;
    }
    const answer = await this.#answer(machineId, body, order.payload ?? NOTHING).catch((cause: unknown): Answer => {
      this.#deps.log.warn(
        { [LOG_KEY.machineId]: machineId, err: cause },
        'an order of another server could not be carried out, and its request fails',
      );
      return { outcome: 'unknown' };
    });
    await this.#write(orderId, answer);
    this.#deps.hints.send({ about: 'inbox', replicaId: body.from });
  }

  /** Writes the answer, again while the database cannot be reached. */
  async #write(orderId: number, answer: Answer): Promise<void> {
    const { signal } = this.#stop;
    const until = performance.now() + ANSWER_FOR_MS;
    do {
      try {
        return await this.#deps.cluster.answerOrder({ orderId, answer });
      } catch (cause) {
        this.#deps.log.warn(
          { err: cause },
          'the answer to an order of another server could not be written; trying again',
        );
      }
      await pause(ANSWER_RETRY_MS, signal);
    } while (!signal.aborted && performance.now() < until);
  }

  async #answer(machineId: string, { from, ask }: OrderBody, payload: Buffer): Promise<Answer> {
    const { local } = this.#deps;
    switch (ask.kind) {
      case 'resize': {
        const { execution_id: executionId, width, height } = ask;
        return { outcome: await local.resize({ machineId, executionId, size: { width, height } }) };
      }
      case 'signal':
        return { outcome: await local.signal({ machineId, executionId: ask.execution_id, signal: ask.signal }) };
      case 'usage': {
        const usage = await local.usage({ machineId, executionId: ask.execution_id });
        return { outcome: 'usage', ...(usage !== undefined && { usage }) };
      }
      case 'rotate':
        return { outcome: await local.rotateCredential({ machineId, joinToken: ask.join_token }) };
      case 'stdin':
        return this.#writeStdin(machineId, ask, payload);
      case 'numbered_stdin': {
        const written = await this.#writeStdin(machineId, ask, payload);
        return written.outcome === 'agent_away' ? { ...written, understood: true } : written;
      }
      case 'output_limited': {
        const execution = await this.#deps.store.getExecution({ machineId, executionId: ask.execution_id });
        if (execution !== undefined) await local.outputLimited(execution);
        return { outcome: 'done' };
      }
      case 'terminal_limit': {
        const { execution_id: executionId, offset, clients = 0 } = ask;
        const limit = { machineId, executionId, offset, clients, replicaId: from };
        return { outcome: await local.limitTerminal(limit) };
      }
      case 'detach':
        await local.detach(machineId);
        return { outcome: 'done' };
      case 'credential_changed':
        await local.credentialChanged(machineId);
        return { outcome: 'done' };
      case 'machine_removed':
        await local.machineRemoved(machineId);
        return { outcome: 'done' };
      case 'probe':
        await local.probe(machineId);
        return { outcome: 'done' };
    }
  }

  async #writeStdin(machineId: string, ask: StdinAsk, bytes: Buffer): Promise<Answer> {
    const { execution_id: executionId, close } = ask;
    const execution = await this.#deps.store.getExecution({ machineId, executionId });
    if (execution === undefined) return { outcome: 'not_open' };
    const signal = AbortSignal.timeout(STDIN_TIMEOUT_MS);
    const at = ask.kind === 'numbered_stdin' ? { writer: ask.writer } : offsetOf(ask);
    return this.#deps.local.tryStdin({ execution, bytes, close, signal, ...at });
  }
}

function offsetOf({ offset }: { offset?: number }): { offset?: number } {
  return offset === undefined ? {} : { offset };
}
