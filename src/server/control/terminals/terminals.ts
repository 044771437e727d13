/** The terminals of this server: the clients of each, its scrollback, and the end of one without clients. */
import { isTerminal } from '../../../core/execution.ts';
import type { Execution } from '../../../store/store.ts';
import { DetachedTerminals, type DetachedTerminalsDeps } from './detached-terminals.ts';
import type { TerminalCommands } from './terminal-commands.ts';
import type { CommitListener } from '../live/commit-notifier.ts';
import {
  type ClientConnection,
  TerminalClient,
  type TerminalClientDeps,
  type TerminalClientOptions,
} from './terminal-client.ts';

const SCROLLBACK_BYTES = 1024 * 1024;
/** Bytes by which the scrollback grows before it is cut, because each cut is a commit. */
const CUT_BYTES = 512 * 1024;
const MAX_CLIENTS = 8;

export interface TerminalsDeps extends TerminalClientDeps, Pick<DetachedTerminalsDeps, 'now' | 'detachedMs'> {
  store: TerminalClientDeps['store'] & DetachedTerminalsDeps['store'];
  control: TerminalClientDeps['control'] & Pick<TerminalCommands, 'releaseOutput' | 'cancel'>;
}

/** The state of one terminal while it runs. */
interface Watched {
  clients: Set<TerminalClient>;
  /** All bytes before this offset are deleted, or being deleted. */
  cutAt: number;
  cutting: boolean;
}

/** The terminals that have clients on this server. */
export class Terminals implements CommitListener {
  readonly #deps: TerminalsDeps;
  readonly #watched = new Map<string, Watched>();
  readonly #detached: DetachedTerminals;

  constructor(deps: TerminalsDeps) {
    this.#deps = deps;
    this.#detached = new DetachedTerminals({ ...deps, attached: () => this.#attached() });
  }

  /** Whether one more client may attach. */
  hasRoom(executionId: string): boolean {
    return (this.#watched.get(executionId)?.clients.size ?? 0) < MAX_CLIENTS;
  }

  /** Returns the bytes that a new client is sent first: the scrollback, from the next whole character on. */
  async scrollbackOf({ executionId }: Execution): Promise<{ start: number; end: number }> {
    const { start, end } = await this.#deps.store.outputBounds({ executionId, stream: 'stdout' });
    const from = Math.max(start, end - SCROLLBACK_BYTES);
    if (from === 0) return { start: 0, end };
    const head = await this.#deps.store.readStream({ executionId, stream: 'stdout', offset: from, maxBytes: 3 });
    const skipped = head.findIndex((byte) => (byte & 0xc0) !== 0x80);
    return { start: from + (skipped < 0 ? head.length : skipped), end };
  }

  /** Runs one client of a terminal. Settles when it has disconnected, with the numbers of bytes received and sent. */
  async attach(
    connection: ClientConnection,
    execution: Execution,
    options: TerminalClientOptions,
  ): Promise<{ in: number; out: number }> {
    const watched = this.#watch(execution);
    const client = new TerminalClient(this.#deps, connection, execution, options);
    watched.clients.add(client);
    this.#detached.attached(execution.executionId);
    const disconnected = new Promise<void>((resolve) => connection.ws.once('close', () => resolve()));
    try {
      await client.run(execution);
    } finally {
      // A client that reads nothing must not block the shell until its connection ends.
      watched.clients.delete(client);
      if (watched.clients.size === 0) this.#detached.detached(execution.executionId);
      // Another server may commit for the machine. Then this server is not notified of the end.
      if (watched.clients.size === 0 && this.#watched.get(execution.executionId) === watched)
        this.#forget(execution.executionId);
    }
    await disconnected;
    return { in: client.received, out: client.offset - options.offset };
  }

  committed(execution: Execution): void {
    if (execution.isTerminal === undefined) return;
    if (isTerminal(execution.status)) {
      this.#forget(execution.executionId);
      return;
    }
    if (execution.status !== 'running') return;
    const watched = this.#watch(execution);
    if (execution.stdout.bytes - watched.cutAt > SCROLLBACK_BYTES + CUT_BYTES) this.#cut(execution, watched);
  }

  start(): void {
    this.#detached.start();
  }

  async stop(): Promise<void> {
    await this.#detached.stop();
    this.#watched.clear();
  }

  #attached(): string[] {
    return [...this.#watched].flatMap(([executionId, { clients }]) => (clients.size > 0 ? [executionId] : []));
  }

  #watch(execution: Execution): Watched {
    const known = this.#watched.get(execution.executionId);
    if (known !== undefined) return known;
    const watched: Watched = { clients: new Set(), cutAt: 0, cutting: false };
    this.#watched.set(execution.executionId, watched);
    return watched;
  }

  #forget(executionId: string): void {
    this.#watched.delete(executionId);
  }

  /** Deletes output older than the scrollback, except bytes that a client has not been sent. The slowest client can block the shell. */
  #cut(execution: Execution, watched: Watched): void {
    const { machineId, executionId } = execution;
    const slowest = Math.min(...[...watched.clients].map((client) => client.offset));
    const offset = Math.min(execution.stdout.bytes - SCROLLBACK_BYTES, slowest);
    if (watched.cutting || offset - watched.cutAt < CUT_BYTES) return;
    watched.cutting = true;
    this.#deps.control
      .releaseOutput({ machineId, executionId, stream: 'stdout', offset })
      .then(({ outcome }) => {
        if (outcome === 'released') watched.cutAt = offset;
      })
      .catch((err: unknown) =>
        this.#deps.log.error(
          { err },
          'old scrollback of a terminal could not be deleted; trying again at its next output',
        ),
      )
      .finally(() => {
        watched.cutting = false;
      });
  }
}
