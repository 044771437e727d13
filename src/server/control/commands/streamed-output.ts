/** Output in stream mode, for its readers: in the store, or in memory on its way there. */
import type { Logger } from 'pino';
import { storedUpTo } from '../../../core/decisions/output-streams.ts';
import { type Execution, isTerminal, type Stream } from '../../../core/execution.ts';
import type { OutputBounds, ReleaseOutcome, Store } from '../../../store/store.ts';
import { releasedOf } from '../agents/start-frame.ts';
import type { MachineCommands } from './machine-commands.ts';
import type { OpenReader, RelayReader } from '../relay/output-relay.ts';
import type { OutputRelays } from '../relay/output-relays.ts';

const NOT_DELETED = 'output that its reader has released could not be deleted; it is deleted with its execution';

/** The bytes of a stream that can be read now. */
export interface ReadableBounds extends OutputBounds {
  /** The highest offset from which it can be followed. Above `end`: bytes that a reader may have had are to be sent again by the agent. */
  followableTo: number;
}

export type Release = { machineId: string; executionId: string; stream: Stream; offset: number };
/** `not_yet`: the agent has to send those bytes again first. */
export type StreamReleaseOutcome = ReleaseOutcome | { outcome: 'not_yet' };

/** The readers' side of output in stream mode. */
export interface OutputReaders {
  /** Opens a reader: it takes from memory what is not in the store. Undefined if all output of the execution is stored first. */
  open(execution: Execution, reader: RelayReader): Promise<OpenReader | undefined>;
  bounds(execution: Execution, stream: Stream): Promise<ReadableBounds>;
  /** Settles when all that has come is in the store, or its agent has to send it again. */
  store(executionId: string): Promise<void>;
  /** A reader has everything before `offset` of a stream in stream mode: deletes it, and the command may produce more. */
  release(p: Release): Promise<StreamReleaseOutcome>;
}

export interface StreamedOutputDeps {
  store: Pick<Store, 'outputBounds' | 'outputRead' | 'releaseOutput' | 'getExecution'>;
  relays: OutputRelays;
  machines: Pick<MachineCommands, 'outputLimited'>;
  /** Returns the number of the last report that the agent is known to have. Undefined if its agent is not connected to this server. */
  lastReport: (execution: Execution) => number | undefined;
  now: () => number;
  log: Pick<Logger, 'warn'>;
  streamBufferBytes: number;
}

/** Implements it on this server. */
export class StreamedOutput implements OutputReaders {
  readonly #deps: StreamedOutputDeps;

  constructor(deps: StreamedOutputDeps) {
    this.#deps = deps;
  }

  async open(execution: Execution, reader: RelayReader): Promise<OpenReader | undefined> {
    const { executionId, outputMode, isTerminal: onTerminal, status } = execution;
    if (outputMode !== 'stream' || onTerminal === true || isTerminal(status)) return undefined;
    return this.#deps.relays.open(execution, await releasedOf(this.#deps.store, executionId), reader);
  }

  async bounds(execution: Execution, stream: Stream): Promise<ReadableBounds> {
    const { executionId } = execution;
    const stored = await this.#deps.store.outputBounds({ executionId, stream });
    const relay = this.#deps.relays.get(executionId);
    const start = Math.max(stored.start, relay?.released[stream] ?? 0);
    const end = Math.max(stored.end, relay?.end?.[stream] ?? 0);
    return { start, end, followableTo: Math.max(end, await this.#mayComeAgain(execution, stream, stored)) };
  }

  async store(executionId: string): Promise<void> {
    await this.#deps.relays.get(executionId)?.flush();
  }

  async release(p: Release): Promise<StreamReleaseOutcome> {
    const { store, relays, machines, now } = this.#deps;
    const relay = relays.get(p.executionId);
    const passed = relay?.execution.machineId === p.machineId ? relay.release(p.stream, p.offset) : undefined;
    if (relay !== undefined && passed !== undefined) {
      const { execution, released } = relay;
      await machines.outputLimited(execution, released);
      if (relay.takeReadNote()) await store.outputRead({ executionId: p.executionId, until: now() });
      // A reader that has this answer does not release the same bytes again, so a killed server must not forget it.
      await passed.written;
      return { outcome: 'released', execution, released };
    }
    const released = await store.releaseOutput({ ...p, now: now() });
    // The limit of a terminal depends on the acknowledgements of its clients, not on deleted output.
    if (released.outcome === 'released' && !released.execution.isTerminal)
      await machines.outputLimited(released.execution);
    if (released.outcome !== 'past_end') return released;
    const { machineId, executionId, stream, offset } = p;
    const execution = await store.getExecution({ machineId, executionId });
    if (execution === undefined) return { outcome: 'not_found' };
    const { followableTo } = await this.bounds(execution, stream);
    return offset <= followableTo ? { outcome: 'not_yet' } : released;
  }

  /** Output was released while it was being stored: deletes it. What cannot be deleted now stays as long as the execution. */
  async deleteReleased(p: Release): Promise<void> {
    const { store, now, log } = this.#deps;
    await store.releaseOutput({ ...p, now: now() }).catch((err: unknown) => log.warn({ err }, NOT_DELETED));
  }

  /** Returns the offset up to which readers may have had bytes of a stream that are not here: another server, or this one before, had them. */
  async #mayComeAgain(execution: Execution, stream: Stream, stored: OutputBounds): Promise<number> {
    const { outputMode, status } = execution;
    if (outputMode !== 'stream' || isTerminal(status)) return 0;
    const last = this.#deps.lastReport(execution);
    const known = this.#deps.relays.get(execution.executionId)?.lastNumber ?? execution.reported;
    if (last !== undefined && last <= Math.max(known, execution.reported)) return 0;
    const { streamBufferBytes } = this.#deps;
    const released = { stdout: stored.start, stderr: stored.start };
    return storedUpTo({ execution, released }, stream, { maxOutputBytes: 0, streamBufferBytes });
  }
}
