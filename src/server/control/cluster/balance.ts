/** Disconnects agents while this server has far more than its share, for example after other servers have started or recovered. */
import type { Logger } from 'pino';
import { excessConnections } from '../../../core/decisions/connection-share.ts';
import { CLOSE } from '../../../core/protocol.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';
import type { ClusterStore } from '../../../store/store.ts';
import { Poll } from '../../poll.ts';
import type { AgentSessions } from '../agents/sessions.ts';

const INTERVAL_MS = 10_000;

export interface BalanceDeps {
  cluster: Pick<ClusterStore, 'countConnections'>;
  sessions: Pick<AgentSessions, 'size' | 'closeSome'>;
  /** Number of servers that share the load. */
  servers: () => number;
  log: Pick<Logger, 'info' | 'warn'>;
}

export class Balance {
  readonly #deps: BalanceDeps;
  readonly #poll: Poll;

  constructor(deps: BalanceDeps) {
    this.#deps = deps;
    this.#poll = new Poll({
      work: () => this.look(),
      intervalMs: INTERVAL_MS,
      failed: (cause) => deps.log.warn({ err: cause }, 'counting the agents of each server failed; trying again'),
    });
  }

  start(): void {
    this.#poll.start();
  }

  stop(): Promise<void> {
    return this.#poll.stop();
  }

  /** Disconnects some agents if this server has more than its share. Rejects with StoreUnavailableError. */
  async look(): Promise<void> {
    const { cluster, sessions, servers, log } = this.#deps;
    // An idle server, or the only one, needs no query.
    if (sessions.size === 0 || servers() < 2) return;
    const total = await cluster.countConnections();
    const excess = excessConnections({ own: sessions.size, total, servers: servers() });
    if (excess === 0) return;
    log.info(
      { [LOG_KEY.connections]: excess },
      'disconnecting agents so that they connect to other servers: this one has more than its share',
    );
    sessions.closeSome(excess, CLOSE.restart, 'the server has more than its share of agents');
  }
}
