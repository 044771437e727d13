/**
 * Several servers on one database: the living servers, the owner of each machine's connection, and messages between servers. Safety does
 * not depend on this role: dispatches, disconnects and losses are fenced by epochs. A store for one server has no such role.
 */
import type { Execution } from '../../core/execution.ts';

/** A notification that a row may have changed. A hint may be lost, repeated or late; polls also find the change. */
export type Hint =
  /** The progress up to which events or output of the execution were committed (server/control/live/live.ts). */
  | { about: 'execution'; executionId: string; progress: number }
  /** An execution waits for the machine; or one of its executions has to be cancelled. */
  | { about: 'machine'; machineId: string }
  | { about: 'cancel'; machineId: string }
  /** The machine's status has changed. */
  | { about: 'status'; machineId: string }
  /** The batch was created, cancelled, or has ended. */
  | { about: 'batch'; batchId: string }
  /** The server has orders in its inbox, or answers to its own. */
  | { about: 'inbox'; replicaId: number };

export interface HintListener {
  hinted(hint: Hint): void;
  /** Called when the connection for hints is new: any number of hints may have been missed. */
  missedHints(): void;
}

/** An order to the server that holds a machine's connection. `body` is JSON. */
export interface Order {
  machineId: string;
  kind: string;
  body: unknown;
  /** Bytes that belong to it. */
  payload?: Buffer;
}

export interface ReceivedOrder extends Order {
  orderId: number;
}

/** A server, and the address at which the others reach it, if it has one. */
export interface LivingReplica {
  replicaId: number;
  address?: string;
}

export interface Heartbeat {
  /** `reaped`: this server was declared dead and has registered again. It holds no machine any more. */
  outcome: 'alive' | 'reaped';
  /** Servers that live and do not drain, including this one if it does not. */
  live: number;
  /** No other server is registered, not even one that drains. */
  isAlone: boolean;
  /** All other servers that live. */
  others: readonly LivingReplica[];
  /** The database's clock, ms since the epoch, minus performance.now(). The clock of the host may be set at any time. */
  clockOffsetMs: number;
}

export interface ClusterStore {
  /** The id of this server, as of its last registration. */
  readonly replicaId: number;
  /** Sends this server's heartbeat, by the database's clock, and frees the machines of servers without one for too long. */
  heartbeat(p: { draining: boolean; address?: string | undefined }): Promise<Heartbeat>;
  /** Sets the fingerprint of the database's secret key if it has none. False if it has another. */
  claimKey(p: { fingerprint: Buffer }): Promise<boolean>;
  /** Secrets that all servers share, sealed under the secret key. Undefined if the database has none. */
  sealedSecrets(): Promise<Buffer | undefined>;
  /** Removes this server: frees the machines that it holds, and deletes its row. */
  leave(): Promise<void>;

  /**
   * Whether this server performs the tasks that one server performs for all. In each interval of `intervalMs`, by the database's clock, the
   * first server that calls this gets the duty. If it dies, another one gets the duty in the next interval.
   */
  takeDuty(p: { name: string; intervalMs: number }): Promise<boolean>;

  /** Connections of agents on all servers. */
  countConnections(): Promise<number>;
  /** The connections that this server holds, according to the database. */
  connectionsHeld(): Promise<{ machineId: string; epoch: number }[]>;
  /** Machines of this server for which an execution waits. */
  machinesWithWork(): Promise<string[]>;
  /** Executions on machines of this server that have to be cancelled and have not ended. */
  cancelsPending(): Promise<{ machineId: string; executionId: string }[]>;
  /** Returns the existing ones, in any order. */
  getExecutions(p: { executionIds: readonly string[] }): Promise<Execution[]>;

  /** Puts the order into the inbox of the server that holds the machine's connection. Undefined if no server holds it. */
  sendOrder(order: Order): Promise<{ orderId: number; replicaId: number } | undefined>;
  /** Puts the order into the inboxes of all other living servers, and returns the servers. No answers are expected. */
  sendToAll(order: Order): Promise<number[]>;
  /**
   * Returns the orders in this server's inbox that have no answer yet, except those of `known`, oldest first. From then on they cannot be
   * withdrawn. If the outcome of a call is lost, the next call returns them again.
   */
  takeOrders(p: { known: readonly number[] }): Promise<ReceivedOrder[]>;
  /** `answer` is JSON. May be repeated. */
  answerOrder(p: { orderId: number; answer: unknown }): Promise<void>;
  /** Deletes an order that was not taken. False if it was taken or is gone: then it may have been carried out. */
  withdrawOrder(p: { orderId: number }): Promise<boolean>;
  /** The answers to these orders that have arrived. An answer is returned once. It is absent for an order that a crash of the database has lost. */
  takeAnswers(p: { orderIds: readonly number[] }): Promise<{ orderId: number; answer?: unknown }[]>;

  /** Sends hints to all servers, including this one. Never part of a write. */
  hint(hints: readonly Hint[]): Promise<void>;
  /** Calls `listener` until the returned function is called. Reconnects by itself. */
  listen(listener: HintListener): () => Promise<void>;
}
