/** The lifecycle of machines: the operations of the routes, and the parts that bring machines to their desired state. */
import type { Capabilities, MachineRequest } from '../../../core/decisions/machine-change.ts';
import type { Machine, MachineChangeOutcome, NewMachine, OnBehalf, Store } from '../../../store/store.ts';
import type { ControlPlane } from '../control.ts';
import { Autosleep } from './autosleep.ts';
import type { MachineFeed } from './machine-feed.ts';
import { MachinesElsewhere } from './machines-elsewhere.ts';
import { OperationRunner, type OperationRunnerDeps } from './operation-runner.ts';
import type { Providers } from './provider.ts';

export interface LifecycleDeps extends Omit<OperationRunnerDeps, 'store' | 'control'> {
  store: Store;
  control: Pick<ControlPlane, 'detachAgent' | 'ended' | 'machineRemoved'>;
  feed: MachineFeed;
}

/** The capabilities of the providers, in the form that the store's decisions need. */
export function capabilitiesOf({ byName }: Providers): Capabilities {
  return new Map([...byName].map(([name, { capabilities }]) => [name, capabilities]));
}

/** Owns the operation runner and autosleep; `stop` ends both. */
export class Lifecycle {
  readonly providers: Providers;
  readonly feed: MachineFeed;
  readonly #store: Store;
  readonly #control: LifecycleDeps['control'];
  readonly #now: () => number;
  readonly #capabilities: Capabilities;
  readonly #operations: OperationRunner;
  readonly #autosleep: Autosleep;
  /** Absent: no other server changes machines. */
  readonly #elsewhere: MachinesElsewhere | undefined;
  #unwatch: () => void = () => {};

  constructor(deps: LifecycleDeps) {
    const { store, providers, feed, now, log } = deps;
    this.providers = providers;
    this.feed = feed;
    this.#store = store;
    this.#control = deps.control;
    this.#now = now;
    this.#capabilities = capabilitiesOf(providers);
    this.#operations = new OperationRunner(deps);
    this.#elsewhere = store.cluster && new MachinesElsewhere({ store, feed, log });
    this.#autosleep = new Autosleep({
      listIdle: (p) => store.listIdle(p),
      change: (p) => this.change(p),
      minAwakeMs: ({ provider = '' }) => providers.byName.get(provider)?.minAwakeMs ?? 0,
      log,
      now,
    });
  }

  /** Starts operations, and the search for idle machines. */
  start(): void {
    this.#unwatch = this.feed.watchAll(({ operation }) => {
      if (operation?.running === false) this.#operations.wake();
    });
    this.#operations.wake();
    this.#autosleep.start();
    this.#elsewhere?.start();
  }

  /** Ends the running hooks. Settles when nothing is under way. */
  async stop(): Promise<void> {
    this.#unwatch();
    await this.#elsewhere?.stop();
    await this.#autosleep.stop();
    await this.#operations.stop();
  }

  /** Handles the hint that another server has changed a machine. */
  changedElsewhere(machineId: string): void {
    this.#elsewhere?.changed(machineId);
  }

  /** Creates a machine, which its provider starts or an agent joins. */
  place(p: { machine: NewMachine } & OnBehalf): ReturnType<Store['placeMachine']> {
    const maxMachines = this.providers.byName.get(p.machine.provider ?? '')?.maxMachines;
    return this.#store.placeMachine({ ...p, ...(maxMachines === undefined ? {} : { maxMachines }), now: this.#now() });
  }

  /** Changes, wakes, puts to sleep or removes a machine. */
  async change(
    p: { machineId: string; request: MachineRequest; expectedRevision?: number } & OnBehalf,
  ): Promise<MachineChangeOutcome> {
    const changed = await this.#store.changeMachine({ ...p, capabilities: this.#capabilities, now: this.#now() });
    if (changed.outcome === 'changed' && p.request.type === 'remove') {
      this.#control.machineRemoved(p.machineId, changed.ended);
    }
    return changed;
  }
}

/** Whether a machine is in its desired state. */
export function isSettled({ desiredState, phase, resizing }: Machine): boolean {
  return phase === desiredState && !resizing;
}
