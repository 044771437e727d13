/**
 * Several servers on one database: which of them live, which one holds a machine's connection, and what one tells another. Nothing
 * here is needed for safety: marks, disconnects and losses are fenced by epochs. A store for one server has no such role.
 */
import type { Execution } from '../../core/execution.ts';

/** Something that may be worth a look. A hint may be lost, repeated or late; polls find what it was about. */
export type Hint =
  /** Events of the execution were committed, up to `sequence`. */
  | { about: 'execution'; executionId: string; sequence: number }
  /** Something waits for the machine, or is to be cancelled there. */
  | { about: 'machine'; machineId: string }
  /** What is told of the machine has changed. */
  | { about: 'status'; machineId: string }
  /** The batch was made, cancelled, or is over. */
  | { about: 'batch'; batchId: string }
  /** The server has orders in its inbox, or answers to its own. */
  | { about: 'inbox'; replicaId: number };

export interface HintListener {
  hinted(hint: Hint): void;
  /** The connection for hints is new: any number of them may have been missed. */
  missedHints(): void;
}

/** What another server is to do about a machine whose connection it holds. `body` is JSON. */
export interface Order {
  machineId: string;
  kind: string;
  body: unknown;
  /** Bytes that come with it. */
  payload?: Buffer;
}

export interface ReceivedOrder extends Order {
  orderId: number;
}

export interface Heartbeat {
  /** `reaped`: this server was taken for dead and has registered anew; it holds no machine any more. */
  outcome: 'alive' | 'reaped';
  /** Servers that live and do not drain, this one included if it does not. */
  live: number;
  /** The database's clock minus this server's, ms. */
  clockOffsetMs: number;
}

export interface ClusterStore {
  /** Of this server, as of its last registration. */
  readonly replicaId: number;
  /** Says that this server lives, by the database's clock, and frees the machines of those that have not for too long. */
  heartbeat(p: { draining: boolean }): Promise<Heartbeat>;
  /** Makes the fingerprint that of the database's secret key, where it has none; false if it has another. */
  claimKey(p: { fingerprint: Buffer }): Promise<boolean>;
  /** What all servers share, sealed under the secret key; undefined where the database has none of it. */
  sealedSecrets(): Promise<Buffer | undefined>;
  /** This server stops: what it still holds is freed, and its row goes. */
  leave(): Promise<void>;

  /** The connections that this server holds, as the database has it. */
  connectionsHeld(): Promise<{ machineId: string; epoch: number }[]>;
  /** Machines of this server for which something waits. */
  machinesWithWork(): Promise<string[]>;
  /** Executions on machines of this server that are to be cancelled and have not ended. */
  cancelsPending(): Promise<{ machineId: string; executionId: string }[]>;
  /** Those that there are, in any order. */
  getExecutions(p: { executionIds: readonly string[] }): Promise<Execution[]>;

  /** Puts the order into the inbox of the server that holds the machine's connection; undefined if none does. */
  sendOrder(order: Order): Promise<{ orderId: number; replicaId: number } | undefined>;
  /** Puts the order into the inboxes of all other servers that live, and says which; nobody waits for answers. */
  sendToAll(order: Order): Promise<number[]>;
  /** Takes the orders out of this server's inbox, oldest first; they stay for their answers. */
  takeOrders(): Promise<ReceivedOrder[]>;
  /** `answer` is JSON. */
  answerOrder(p: { orderId: number; answer: unknown }): Promise<void>;
  /** The answers that have come to these orders; an answer is given once. */
  takeAnswers(p: { orderIds: readonly number[] }): Promise<{ orderId: number; answer: unknown }[]>;

  /** Tells all servers, this one included. Never part of a write. */
  hint(hints: readonly Hint[]): Promise<void>;
  /** Calls `listener` until the returned function is called; connects anew by itself. */
  listen(listener: HintListener): () => Promise<void>;
}
