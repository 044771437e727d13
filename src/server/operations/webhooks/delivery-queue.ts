/** Claimed callbacks that wait for a slot. Slots are shared by host and by key: a receiver that hangs delays no other. */

/** Deliveries under way at once: in total, to one host, and of one key to one host. */
const MAX_ACTIVE = 64;
const MAX_ACTIVE_OF_HOST = 8;
const MAX_ACTIVE_OF_LANE = 4;
/** Callbacks that may wait here: in total, of one key to one host, and in total once each may have only a few. */
const MAX_WAITING = 4096;
const MAX_WAITING_OF_LANE = 512;
const ALWAYS_WAITING_OF_LANE = 4;
const MAX_WAITING_EVER = 4 * MAX_WAITING;

export interface Deliverable {
  host: string;
  /** The creator of the execution: an API key id, or `admin`. */
  createdBy: string;
  /** ms since the epoch. After it another server may have claimed the callback, so its delivery does not begin any more. */
  beginBy: number;
}

/** Callbacks of one key to one host, in the order in which they came. */
interface Lane<T> {
  waiting: T[];
  active: number;
}

export class DeliveryQueue<T extends Deliverable> {
  /** In the order of their turns. */
  readonly #lanes = new Map<string, Lane<T>>();
  readonly #activeOfHost = new Map<string, number>();
  readonly #activeOfKey = new Map<string, number>();
  #active = 0;
  #waiting = 0;

  /** Accepts a callback. False if too many wait already: it comes up again when its claim has expired. */
  push(delivery: T): boolean {
    const lane = this.#lanes.get(laneOf(delivery)) ?? { waiting: [], active: 0 };
    const most = this.#waiting < MAX_WAITING ? MAX_WAITING_OF_LANE : ALWAYS_WAITING_OF_LANE;
    if (lane.waiting.length >= most || this.#waiting >= MAX_WAITING_EVER) return false;
    this.#lanes.set(laneOf(delivery), lane);
    lane.waiting.push(delivery);
    this.#waiting += 1;
    return true;
  }

  /** Returns a callback that has a slot from now on, until `done`. Undefined if none may begin. `now` in ms since the epoch. */
  take(now: number): T | undefined {
    if (this.#active >= MAX_ACTIVE) return undefined;
    for (const [name, lane] of this.#lanes) {
      this.#dropLate(lane, now);
      const [first] = lane.waiting;
      if (first === undefined || lane.active >= MAX_ACTIVE_OF_LANE || !this.#hasRoom(first)) continue;
      lane.waiting.shift();
      this.#waiting -= 1;
      this.#count(first, lane, 1);
      // Its next turn comes after all the others'.
      this.#lanes.delete(name);
      this.#lanes.set(name, lane);
      return first;
    }
    return undefined;
  }

  /** Frees its slot. */
  done(delivery: T): void {
    const lane = this.#lanes.get(laneOf(delivery));
    if (lane === undefined) return;
    this.#count(delivery, lane, -1);
    if (lane.active === 0 && lane.waiting.length === 0) this.#lanes.delete(laneOf(delivery));
  }

  /** A key takes at most half of the slots that the others leave, so that there is one for the next key. */
  #hasRoom({ host, createdBy }: T): boolean {
    const ofHost = this.#activeOfHost.get(host) ?? 0;
    const ofKey = this.#activeOfKey.get(createdBy) ?? 0;
    return ofHost < MAX_ACTIVE_OF_HOST && ofKey < (MAX_ACTIVE - this.#active) / 2;
  }

  #dropLate(lane: Lane<T>, now: number): void {
    while (lane.waiting[0] !== undefined && lane.waiting[0].beginBy < now) {
      lane.waiting.shift();
      this.#waiting -= 1;
    }
  }

  #count(delivery: T, lane: Lane<T>, by: 1 | -1): void {
    lane.active += by;
    this.#active += by;
    add(this.#activeOfHost, delivery.host, by);
    add(this.#activeOfKey, delivery.createdBy, by);
  }
}

function laneOf({ host, createdBy }: Deliverable): string {
  return `${createdBy} ${host}`;
}

function add(counts: Map<string, number>, name: string, by: number): void {
  const count = (counts.get(name) ?? 0) + by;
  if (count === 0) counts.delete(name);
  else counts.set(name, count);
}
