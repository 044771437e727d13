/** Carries out orders of other servers for machines whose connections this server holds, and answers them. */
import type { Logger } from 'pino';
import { LOG_KEY } from '../../../node/log-keys.ts';
import type { ClusterStore, ExecutionStore, ReceivedOrder } from '../../../store/store.ts';
import type { LocalCommands } from '../commands/machine-commands.ts';
import type { HintChannel } from './hint-channel.ts';
import { type Answer, type Ask, type OrderBody, readOrderBody } from './order-schemas.ts';

/** The longest time that stdin of another server's client waits here for its runner. */
const STDIN_TIMEOUT_MS = 50_000;
const NOTHING = Buffer.alloc(0);

export interface OrderDeskDeps {
  cluster: Pick<ClusterStore, 'takeOrders' | 'answerOrder'>;
  store: Pick<ExecutionStore, 'getExecution'>;
  local: LocalCommands;
  hints: Pick<HintChannel, 'send'>;
  log: Pick<Logger, 'warn'>;
}

/** Carries out the orders in this server's inbox. */
export class OrderDesk {
  readonly #deps: OrderDeskDeps;
  readonly #working = new Set<Promise<void>>();

  constructor(deps: OrderDeskDeps) {
    this.#deps = deps;
  }

  /** Reads the orders in the inbox and carries them out concurrently. */
  async takeOrders(): Promise<void> {
    for (const order of await this.#deps.cluster.takeOrders()) {
      const work = this.#carryOut(order);
      this.#working.add(work);
      void work.finally(() => this.#working.delete(work));
    }
  }

  /** Settles when nothing is under way. */
  async idle(): Promise<void> {
    await Promise.all(this.#working);
  }

  async #carryOut(order: ReceivedOrder): Promise<void> {
    const { cluster, hints, log } = this.#deps;
    const { orderId, machineId } = order;
    const body = readOrderBody(order.body);
    if (body === undefined) {
      log.warn(
        { [LOG_KEY.machineId]: machineId },
        'an order of another server is malformed, and its request fails: run servers of neighbouring versions only',
      );
      return;
    }
    try {
      const answer = await this.#answer(machineId, body, order.payload ?? NOTHING);
      await cluster.answerOrder({ orderId, answer });
      hints.send({ about: 'inbox', replicaId: body.from });
    } catch (cause) {
      log.warn(
        { [LOG_KEY.machineId]: machineId, err: cause },
        'an order of another server could not be carried out, and its request fails',
      );
    }
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
      case 'output_limited': {
        const execution = await this.#deps.store.getExecution({ machineId, executionId: ask.execution_id });
        if (execution !== undefined) await local.outputLimited(execution);
        return { outcome: 'done' };
      }
      case 'terminal_limit': {
        const { execution_id: executionId, offset } = ask;
        return { outcome: await local.limitTerminal({ machineId, executionId, offset, replicaId: from }) };
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

  async #writeStdin(machineId: string, ask: Extract<Ask, { kind: 'stdin' }>, bytes: Buffer): Promise<Answer> {
    const { execution_id: executionId, offset, close } = ask;
    const execution = await this.#deps.store.getExecution({ machineId, executionId });
    if (execution === undefined) return { outcome: 'not_open' };
    const signal = AbortSignal.timeout(STDIN_TIMEOUT_MS);
    const at = offset === undefined ? {} : { offset };
    return this.#deps.local.tryStdin({ execution, bytes, close, signal, ...at });
  }
}
