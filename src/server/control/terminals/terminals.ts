/** The terminals of this server: the clients of each, its scrollback, and the end of one without clients. */
import { isTerminal } from '../../../core/execution.ts';
import type { Execution } from '../../../store/store.ts';
import { DetachedTerminals, type DetachedTerminalsDeps } from './detached-terminals.ts';
import type { TerminalCommands } from './terminal-commands.ts';
import type { MachineCommands } from '../commands/machine-commands.ts';
import { MAX_CLIENTS, type TerminalLimits } from '../commands/terminal-limits.ts';
import type { CommitListener } from '../live/commit-notifier.ts';
import { MAX_WINDOW_BYTES } from './read-ahead.ts';
import {
  type ClientConnection,
  TerminalClient,
  type TerminalClientDeps,
  type TerminalClientOptions,
} from './terminal-client.ts';

const SCROLLBACK_BYTES = 1024 * 1024;
/** Bytes by which the scrollback grows before it is cut, because each cut is a commit. */
const CUT_BYTES = 512 * 1024;
/** The interval at which the limits of terminals with clients are sent again, ms, since the agent can have moved to another server. */
const REPEAT_MS = 10_000;

export interface TerminalsDeps extends TerminalClientDeps, Pick<DetachedTerminalsDeps, 'now' | 'detachedMs'> {
  store: TerminalClientDeps['store'] & DetachedTerminalsDeps['store'];
  control: TerminalClientDeps['control'] & Pick<TerminalCommands, 'output' | 'cancel'>;
  machines: Pick<MachineCommands, 'limitTerminal'>;
  limits: Pick<TerminalLimits, 'elsewhere' | 'sweep'>;
}

/** The state of one terminal while it runs. */
interface Watched {
  clients: Set<TerminalClient>;
  /** Number of clients that are being attached. */
  reserved: number;
  /** All bytes before this offset are deleted, or being deleted. */
  cutAt: number;
  cutting: boolean;
  /** Undefined if none was sent, or the last one did not arrive. */
  sentLimit: number | undefined;
  sentClients: number;
  sending: boolean;
}

/** The terminals that have clients on this server. */
export class Terminals implements CommitListener {
  readonly #deps: TerminalsDeps;
  readonly #watched = new Map<string, Watched>();
  readonly #detached: DetachedTerminals;
  #repeat: NodeJS.Timeout | undefined;

  constructor(deps: TerminalsDeps) {
    this.#deps = deps;
    this.#detached = new DetachedTerminals({ ...deps, attached: () => this.#attached() });
  }

  /** Takes a place for one more client, which `attach` or `release` ends. False if the clients on all servers take all places. */
  async reserve(execution: Execution): Promise<boolean> {
    const watched = this.#watch(execution);
    if (clientsOf(watched) >= MAX_CLIENTS) return false;
    watched.reserved += 1;
    if (isTerminal(execution.status)) return true;
    const { machineId, executionId } = execution;
    watched.sentClients = clientsOf(watched);
    const limit = { machineId, executionId, offset: slowestOf(watched), clients: watched.sentClients };
    // An error is no refusal: the number is sent again once the client is attached.
    const sent = await this.#deps.machines.limitTerminal(limit).catch(() => undefined);
    if (sent === 'full') this.release(execution);
    return sent !== 'full';
  }

  /** Gives up a place that no client took. */
  release(execution: Execution): void {
    const watched = this.#watch(execution);
    watched.reserved = Math.max(0, watched.reserved - 1);
    this.#limit(execution, watched);
    if (clientsOf(watched) === 0) this.#forget(execution.executionId);
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

  /** Runs one client of a terminal, for which a place was reserved. Settles when it has disconnected, with the numbers of bytes received and sent. */
  async attach(
    connection: ClientConnection,
    execution: Execution,
    options: TerminalClientOptions,
  ): Promise<{ in: number; out: number }> {
    const watched = this.#watch(execution);
    const advanced = (): void => this.#limit(execution, watched);
    const client = new TerminalClient({ ...this.#deps, advanced }, connection, execution, options);
    watched.reserved = Math.max(0, watched.reserved - 1);
    watched.clients.add(client);
    advanced();
    this.#detached.attached(execution.executionId);
    const disconnected = new Promise<void>((resolve) => connection.ws.once('close', () => resolve()));
    try {
      await client.run(execution);
    } finally {
      // A client that reads nothing must not block the shell until its connection ends.
      watched.clients.delete(client);
      advanced();
      if (watched.clients.size === 0) this.#detached.detached(execution.executionId);
      // Another server may commit for the machine. Then this server is not notified of the end.
      if (clientsOf(watched) === 0 && this.#watched.get(execution.executionId) === watched)
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
    this.#repeat = setInterval(() => this.#repeatLimits(), REPEAT_MS).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#repeat);
    await this.#detached.stop();
    this.#watched.clear();
  }

  #attached(): string[] {
    return [...this.#watched].flatMap(([executionId, { clients }]) => (clients.size > 0 ? [executionId] : []));
  }

  #watch(execution: Execution): Watched {
    const known = this.#watched.get(execution.executionId);
    if (known !== undefined) return known;
    const watched: Watched = {
      clients: new Set(),
      reserved: 0,
      cutAt: 0,
      cutting: false,
      sentLimit: undefined,
      sentClients: 0,
      sending: false,
    };
    this.#watched.set(execution.executionId, watched);
    return watched;
  }

  #forget(executionId: string): void {
    this.#watched.delete(executionId);
  }

  #repeatLimits(): void {
    this.#deps.limits.sweep();
    for (const watched of this.#watched.values()) {
      watched.sentLimit = undefined;
      for (const { execution } of [...watched.clients].slice(0, 1)) this.#limit(execution, watched);
    }
  }

  /** Sends the limit of the slowest client on this server and the number of clients. Small changes of the limit are not sent. */
  #limit({ machineId, executionId }: Pick<Execution, 'machineId' | 'executionId'>, watched: Watched): void {
    const slowest = slowestOf(watched);
    const step = Math.min(...[...watched.clients].map(({ readAhead }) => readAhead.windowBytes)) / 4;
    const { sentLimit, sentClients } = watched;
    if (watched.sending) return;
    const isNearly = (limit: number, sent: number): boolean => limit >= sent && limit - sent < step;
    const isSent =
      slowest === undefined || sentLimit === undefined ? slowest === sentLimit : isNearly(slowest, sentLimit);
    if (isSent && sentClients === clientsOf(watched)) return;
    watched.sending = true;
    void this.#send({ machineId, executionId }, watched, slowest);
  }

  async #send(
    terminal: { machineId: string; executionId: string },
    watched: Watched,
    offset: number | undefined,
  ): Promise<void> {
    watched.sentClients = clientsOf(watched);
    try {
      const sent = await this.#deps.machines.limitTerminal({ ...terminal, offset, clients: watched.sentClients });
      watched.sentLimit = sent === 'sent' || sent === 'full' ? offset : undefined;
    } catch (err) {
      watched.sentLimit = undefined;
      this.#deps.log.error({ err }, 'the output limit of a terminal could not be sent; retrying');
    }
    watched.sending = false;
    // Meanwhile clients can have acknowledged more output or disconnected.
    const isNews = offset === undefined || watched.sentClients !== clientsOf(watched);
    if (watched.sentLimit !== undefined || isNews) this.#limit(terminal, watched);
  }

  /** Deletes output older than the scrollback, except bytes that were not sent to all clients. So the slowest client can block the shell. */
  #cut(execution: Execution, watched: Watched): void {
    const { machineId, executionId } = execution;
    const here = Math.min(...[...watched.clients].map((client) => client.offset));
    const elsewhere = (this.#deps.limits.elsewhere(executionId) ?? Number.POSITIVE_INFINITY) - MAX_WINDOW_BYTES;
    const offset = Math.min(execution.stdout.bytes - SCROLLBACK_BYTES, here, elsewhere);
    if (watched.cutting || offset - watched.cutAt < CUT_BYTES) return;
    watched.cutting = true;
    this.#deps.control.output
      .release({ machineId, executionId, stream: 'stdout', offset })
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

/** Returns the number of clients on this server, with those that are being attached. */
function clientsOf({ clients, reserved }: Watched): number {
  return clients.size + reserved;
}

/** Returns the limit of the slowest client on this server. Undefined if there is none. */
function slowestOf({ clients }: Watched): number | undefined {
  return clients.size === 0 ? undefined : Math.min(...[...clients].map(({ readAhead }) => readAhead.limit));
}
