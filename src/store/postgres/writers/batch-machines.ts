/** The machines of a batch of writes: the loaded rows, and the state after the changes of its use cases. */
import type { MachineQueue } from '../../../core/decisions/queue.ts';
import { isRemoved, type Machine } from '../../../core/machines/machine.ts';
import { toMachine } from '../../rows/machine-row.ts';
import type { JoinTokenRow } from '../../rows/join-token-row.ts';
import type { JoinToken } from '../../store.ts';
import type { CredentialHolder, MachineAccess, MachineRecord } from '../../transactions/transaction.ts';
import type { MachineRow } from '../statements/select-machine.ts';

type Counters = Pick<MachineQueue, 'waiting' | 'waitingBytes' | 'lastDispatchNumber'>;

export interface TouchedMachine {
  record: MachineRecord;
  /** As loaded. Absent for a new one. */
  row?: MachineRow;
  counters: Counters;
  changes: Set<'machine' | 'counters' | 'owner' | 'granted' | 'credentials' | 'labels'>;
  owner: number | null;
  /** The server that runs the machine's hook. */
  operator: number | null;
  /** Its credential, if it has one. */
  credential?: { hash: Buffer; enrolledWith: number | null; replacedCredential: boolean };
  /** The time at which its tokens and labels are removed. */
  credentialsDropAt?: number;
  /** Present if it was not read: the id of the transaction that wrote it last. */
  writtenBy?: bigint;
}

export interface LoadedMachines {
  rows: readonly MachineRow[];
  freshKeys: readonly number[];
  /** Number of machines of each requested provider. */
  countOf: ReadonlyMap<string, number>;
  /** Keys of the machines that have the requested names. */
  holders: ReadonlyMap<string, number>;
  /** Join tokens, by their SHA-256 in hexadecimal digits. */
  tokens: ReadonlyMap<string, JoinTokenRow>;
  /** Rows that were not read. */
  reused: { machines: readonly Omit<TouchedMachine, 'changes'>[] } | undefined;
}

const NOTHING: Counters = { waiting: 0, waitingBytes: 0, lastDispatchNumber: 0 };

/** The machines of a batch of use cases. */
export class BatchMachines implements MachineAccess {
  readonly touched = new Map<string, TouchedMachine>();
  readonly tokens: { token: JoinToken; tokenHash: Buffer }[] = [];
  /** Keys of the join tokens that were used first by this batch. */
  readonly usedTokens: { key: number; at: number }[] = [];
  readonly #byKey = new Map<number, TouchedMachine>();
  /** By the SHA-256 of its credential, in hexadecimal digits. */
  readonly #byCredential = new Map<string, TouchedMachine>();
  readonly #joinTokens: Map<string, JoinTokenRow>;
  readonly #freshKeys: number[];
  readonly #countOf: ReadonlyMap<string, number>;
  readonly #holders: ReadonlyMap<string, number>;

  constructor({ rows, freshKeys, countOf, holders, tokens, reused }: LoadedMachines) {
    this.#joinTokens = new Map(tokens);
    this.#freshKeys = [...freshKeys];
    this.#countOf = countOf;
    this.#holders = holders;
    for (const row of rows) {
      const { last_dispatch_number: lastDispatchNumber, waiting, waiting_bytes: waitingBytes, owner, operator } = row;
      const record = { key: row.id, machine: toMachine(row) };
      this.#add({
        record,
        row,
        counters: { waiting, waitingBytes, lastDispatchNumber },
        changes: new Set(),
        owner,
        operator,
        ...credentialOf(row),
      });
    }
    for (const known of reused?.machines ?? []) this.#add({ ...known, changes: new Set() });
  }

  /** The changed machines, in their present state. */
  changed(): Machine[] {
    return [...this.touched.values()]
      .filter(({ changes }) => changes.has('machine'))
      .map(({ record }) => record.machine);
  }

  find(machineId: string): MachineRecord | undefined {
    return this.touched.get(machineId)?.record;
  }

  insert(machine: Machine): MachineRecord | undefined {
    if (this.touched.has(machine.machineId)) return undefined;
    const key = this.#freshKeys.shift();
    if (key === undefined) throw new Error('no key was loaded for a new machine');
    const record = { key, machine };
    this.#add({ record, counters: NOTHING, changes: new Set(['machine']), owner: null, operator: null });
    return record;
  }

  save({ key, machine }: MachineRecord): void {
    const touched = this.#of(key);
    touched.record.machine = machine;
    touched.changes.add('machine');
    if (machine.agent === 'connected' || touched.owner === null) return;
    touched.owner = null;
    touched.changes.add('owner');
  }

  holderOfCredential(credentialHash: Buffer): CredentialHolder | undefined {
    const { record, credential } = this.#byCredential.get(credentialHash.toString('hex')) ?? {};
    return record && credential && { record, ...credential };
  }

  grantCredential({ key }: MachineRecord, p: { credentialHash: Buffer; token: JoinTokenRow }): boolean {
    const touched = this.#of(key);
    const replacedCredential = this.#forgetCredential(touched);
    touched.credential = { hash: p.credentialHash, enrolledWith: p.token.id, replacedCredential };
    touched.changes.add('granted');
    this.#byCredential.set(p.credentialHash.toString('hex'), touched);
    return replacedCredential;
  }

  joinToken(tokenHash: Buffer): JoinTokenRow | undefined {
    return this.#joinTokens.get(tokenHash.toString('hex'));
  }

  useJoinToken(token: JoinTokenRow, now: number): void {
    for (const [hash, { id }] of this.#joinTokens)
      if (id === token.id) this.#joinTokens.set(hash, { ...token, used_at: now });
    this.usedTokens.push({ key: token.id, at: now });
  }

  dropCredentials({ key }: MachineRecord, now: number): void {
    const touched = this.#of(key);
    this.#forgetCredential(touched);
    touched.credentialsDropAt = now;
    touched.changes.add('credentials').add('labels');
  }

  saveLabels({ key }: MachineRecord): void {
    this.#of(key).changes.add('labels');
  }

  keepJoinToken(token: JoinToken, tokenHash: Buffer): void {
    this.tokens.push({ token, tokenHash });
  }

  countOf(provider: string): number {
    const made = [...this.touched.values()].filter(({ row, record }) => !row && record.machine.provider === provider);
    return (this.#countOf.get(provider) ?? 0) + made.length;
  }

  /** Returns the key of the machine that has the name, according to the changes of the batch. */
  holderOf(name: string): number | undefined {
    const touched = [...this.touched.values()].find(({ record: { machine } }) => {
      return machine.name === name && !isRemoved(machine);
    });
    if (touched !== undefined) return touched.record.key;
    const key = this.#holders.get(name);
    return key === undefined || this.#byKey.has(key) ? undefined : key;
  }

  /** Whether another runner instance is connected with its credential to another living server. */
  isHeldElsewhere(machineId: string, p: { replicaId: number; runnerInstance: string }): boolean {
    const { row, record } = this.touched.get(machineId) ?? {};
    if (row === undefined || !row.owner_alive || row.owner === p.replicaId) return false;
    return record?.machine.agent === 'connected' && record.machine.runnerInstance !== p.runnerInstance;
  }

  /** Gives the machine's connection to a server. Dispatch numbers continue after the highest that the agent has accepted. */
  own(machineId: string, p: { replicaId: number; lastDispatchNumber: number }): void {
    const touched = this.touched.get(machineId);
    if (touched === undefined) return;
    touched.owner = p.replicaId;
    touched.changes.add('owner');
    const { lastDispatchNumber } = touched.counters;
    if (p.lastDispatchNumber <= lastDispatchNumber) return;
    touched.counters = { ...touched.counters, lastDispatchNumber: p.lastDispatchNumber };
    touched.changes.add('counters');
  }

  /** Records the server that runs the machine's operation. */
  operate(machineId: string, replicaId: number): void {
    const touched = this.touched.get(machineId);
    if (touched !== undefined) touched.operator = replicaId;
  }

  queue(machineId: string): MachineQueue | undefined {
    const touched = this.touched.get(machineId);
    return touched && queueOf(touched);
  }

  queueByKey(key: number): MachineQueue {
    return queueOf(this.#of(key));
  }

  setQueue({ key, waiting, waitingBytes, lastDispatchNumber }: MachineQueue): void {
    const touched = this.#of(key);
    touched.counters = { waiting, waitingBytes, lastDispatchNumber };
    touched.changes.add('counters');
  }

  /** Returns whether there was one. */
  #forgetCredential(touched: TouchedMachine): boolean {
    const { credential } = touched;
    delete touched.credential;
    return credential !== undefined && this.#byCredential.delete(credential.hash.toString('hex'));
  }

  #add(touched: TouchedMachine): void {
    const { record, credential } = touched;
    this.touched.set(record.machine.machineId, touched);
    this.#byKey.set(record.key, touched);
    if (credential !== undefined) this.#byCredential.set(credential.hash.toString('hex'), touched);
  }

  #of(key: number): TouchedMachine {
    const touched = this.#byKey.get(key);
    if (touched === undefined) throw new Error('a machine is to be changed that was not loaded');
    return touched;
  }
}

function credentialOf(row: MachineRow): Pick<TouchedMachine, 'credential'> {
  const { credential_hash: hash, enrolled_with: enrolledWith, credential_replaced: replaced } = row;
  return hash === null ? {} : { credential: { hash, enrolledWith, replacedCredential: replaced === 1 } };
}

function queueOf({ record: { key, machine }, counters }: TouchedMachine): MachineQueue {
  const { phase, desiredState, epoch, runnerInstance } = machine;
  return {
    key,
    connected: phase === 'running',
    removed: desiredState === 'destroyed',
    epoch,
    ...(runnerInstance !== undefined && { runnerInstance }),
    ...counters,
  };
}
