/** Creates the batch of a tick: once, even if it is called repeatedly, and with the rights of the schedule's creator. */
import { customAlphabet } from 'nanoid';
import type { Schedule, ScheduleRun, Store } from '../../../store/store.ts';
import type { Sealer } from '../../seal.ts';
import type { BatchRunner } from '../batches/batch-runner.ts';
import type { ControlPlane } from '../control.ts';
import { type BatchCommand, commandText, readCommand } from '../batches/command-text.ts';
import { selectedMachines } from '../batches/selected-machines.ts';

/** Time for which a second creation of the same batch is recognised, ms. */
const KEY_LIFE_MS = 30 * 86_400_000;
const DIGEST = Buffer.from('schedule');
const freshId = customAlphabet('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz', 16);

export interface RunStarterDeps {
  store: Pick<Store, 'decideRun' | 'updateSchedule' | 'listMachines' | 'getApiKey' | 'appendAudit'>;
  batches: BatchRunner;
  sealer: Sealer;
  control: () => Pick<ControlPlane, 'mayKeep'>;
  /** ms since the epoch. */
  now: () => number;
}

type Settled = Pick<ScheduleRun, 'outcome' | 'reason' | 'batchId'>;

export class RunStarter {
  readonly #deps: RunStarterDeps;

  constructor(deps: RunStarterDeps) {
    this.#deps = deps;
  }

  /** Seals the command of a schedule, for the store. */
  async seal(scheduleId: string, command: BatchCommand): Promise<Buffer> {
    const sealed = await this.#deps.sealer.sealInTurns(scheduleId, {
      env: {},
      stdin: Buffer.from(commandText(command)),
    });
    if (sealed === undefined) throw new Error('a schedule without a command');
    return sealed;
  }

  /** Creates the batch of a tick that this server handles, and records the outcome. */
  async start(schedule: Schedule, dueAt: number): Promise<void> {
    const { store, now } = this.#deps;
    const { scheduleId } = schedule;
    const decided = await this.#make(schedule, dueAt);
    if (decided.outcome === 'refused') await this.#pause(schedule, String(decided.reason));
    await store.decideRun({ run: { scheduleId, dueAt, ...decided }, now: now() });
    if (decided.batchId !== undefined) this.#deps.batches.changed(decided.batchId);
  }

  async isRunning(batchId: string | undefined): Promise<boolean> {
    if (batchId === undefined) return false;
    return (await this.#deps.batches.store.getBatch({ batchId }))?.status === 'running';
  }

  async cancel(batchId: string | undefined): Promise<void> {
    if (batchId === undefined) return;
    await this.#deps.batches.store.cancelBatch({ batchId, now: this.#deps.now() });
    this.#deps.batches.changed(batchId);
  }

  async #make(schedule: Schedule, dueAt: number): Promise<Settled> {
    const { createdBy, definition } = schedule;
    const access = await this.#access(createdBy);
    if (access === 'revoked') return { outcome: 'refused', reason: 'key_revoked' };
    let machineIds = await this.#machinesOf(definition.selector, access.machineIds);
    for (;;) {
      if (machineIds.length === 0) return { outcome: 'skipped', reason: 'no_machines' };
      const made = await this.#create(schedule, dueAt, machineIds);
      if (!Array.isArray(made)) return made;
      // Some machines were removed meanwhile.
      machineIds = machineIds.filter((machineId) => !made.includes(machineId));
    }
  }

  /** Creates the batch and returns the outcome. If some machines do not exist, returns their ids, and no batch was created. */
  async #create(schedule: Schedule, dueAt: number, machineIds: readonly string[]): Promise<Settled | string[]> {
    const { store, batches, control, now } = this.#deps;
    const { scheduleId, createdBy, definition } = schedule;
    const batchId = `batch-${freshId()}`;
    const { maxConcurrency, maxFailures } = definition;
    const sealedRequest = await batches.seal(batchId, this.#open(schedule));
    const apiKeyId = `schedule:${scheduleId}`;
    const idempotency = { apiKeyId, key: String(dueAt), digest: DIGEST, expiresAt: now() + KEY_LIFE_MS };
    const mayKeep = await control().mayKeep({ createdBy, bytes: sealedRequest.length, idempotency });
    if (!mayKeep) return { outcome: 'skipped', reason: 'key_queue_full' };
    const made = await batches.store.createBatch({
      batch: {
        batchId,
        machineIds,
        sealedRequest,
        maxConcurrency,
        ...(maxFailures === undefined ? {} : { maxFailures }),
        createdBy,
      },
      now: now(),
      idempotency,
      ...(createdBy === 'admin' ? {} : { actor: { apiKeyId: createdBy } }),
    });
    switch (made.outcome) {
      case 'created': {
        const { command } = definition.shown;
        const auditEntry = { action: 'schedule.run', resource: batchId, command, outcome: 'created' };
        await store.appendAudit({ entry: { at: now(), actor: createdBy, source: scheduleId, ...auditEntry } });
        return { outcome: 'started', batchId };
      }
      case 'replayed':
        return { outcome: 'started', batchId: made.resource };
      case 'machine_not_found':
        return made.machineIds;
      case 'actor_revoked':
        return { outcome: 'refused', reason: 'key_revoked' };
      case 'key_reused':
        throw new Error(`the key of a tick of ${scheduleId} stands for something else`);
    }
  }

  /** Returns the machines that the key of the creator may use now. */
  async #access(createdBy: string): Promise<{ machineIds?: readonly string[] } | 'revoked'> {
    if (createdBy === 'admin') return {};
    const key = await this.#deps.store.getApiKey({ apiKeyId: createdBy });
    if (key === undefined || (key.expiresAt ?? Number.POSITIVE_INFINITY) <= this.#deps.now()) return 'revoked';
    return key.machineIds === undefined ? {} : { machineIds: key.machineIds };
  }

  #machinesOf(
    selector: Schedule['definition']['selector'],
    allowed: readonly string[] | undefined,
  ): Promise<readonly string[]> {
    if ('machineIds' in selector) {
      return Promise.resolve(selector.machineIds.filter((machineId) => allowed?.includes(machineId) ?? true));
    }
    const labels = Object.entries(selector.labels).map(([key, value]) => ({ key, value }));
    return selectedMachines(this.#deps, labels, allowed);
  }

  #open({ scheduleId, sealedRequest }: Schedule): BatchCommand {
    return readCommand(this.#deps.sealer.open(scheduleId, sealedRequest).stdin.toString('utf8'));
  }

  /** Pauses a schedule whose creator can no longer run commands, so that not every tick fails. */
  async #pause({ scheduleId, definition, sealedRequest, anchorAt }: Schedule, paused: string): Promise<void> {
    const change = { definition, sealedRequest, anchorAt, paused };
    await this.#deps.store.updateSchedule({ scheduleId, change, now: this.#deps.now() });
  }
}
