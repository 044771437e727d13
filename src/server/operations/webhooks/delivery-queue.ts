/** The queue of claimed callbacks that wait for a slot. Slots are shared by host and by key, so that a slow receiver delays no other. */

/** Maximum numbers of simultaneous deliveries: in total, to one host, and of one key to one host. */
const MAX_ACTIVE = 64;
const MAX_ACTIVE_OF_HOST = 8;
const MAX_ACTIVE_PER_QUEUE = 4;
/** Maximum numbers of waiting callbacks: in total, of one key to one host, and of one key to one host once the total is reached. */
const MAX_WAITING = 4096;
const MAX_WAITING_PER_QUEUE = 512;
const MIN_WAITING_PER_QUEUE = 4;
const MAX_WAITING_EVER = 4 * MAX_WAITING;

export interface Deliverable {
  host: string;
  /** The creator of the execution: an API key id, or `admin`. */
  createdBy: string;
  /** ms since the epoch. Afterwards another server may have claimed the callback, so its delivery must not begin. */
  beginBy: number;
}

/** Callbacks of one key to one host, in the order of their arrival. */
interface KeyHostQueue<T> {
  waiting: T[];
  active: number;
}

/** The claimed callbacks of this server, and the slots of their deliveries. */
export class DeliveryQueue<T extends Deliverable> {
  /** In the order in which they get slots. */
  readonly #queues = new Map<string, KeyHostQueue<T>>();
  readonly #activeOfHost = new Map<string, number>();
  readonly #activeOfKey = new Map<string, number>();
  #active = 0;
  #waiting = 0;

  /** Accepts a callback. False if too many wait: then it is claimed again when its claim has expired. */
  push(delivery: T): boolean {
    const queue = this.#queues.get(queueNameOf(delivery)) ?? { waiting: [], active: 0 };
    const limit = this.#waiting < MAX_WAITING ? MAX_WAITING_PER_QUEUE : MIN_WAITING_PER_QUEUE;
    if (queue.waiting.length >= limit || this.#waiting >= MAX_WAITING_EVER) return false;
    this.#queues.set(queueNameOf(delivery), queue);
    queue.waiting.push(delivery);
    this.#waiting += 1;
    return true;
  }

  /** Returns a callback and gives it a slot until `done`. Undefined if none may begin. `now` in ms since the epoch. */
  take(now: number): T | undefined {
    if (this.#active >= MAX_ACTIVE) return undefined;
    for (const [name, queue] of this.#queues) {
      this.#dropLate(queue, now);
      const [first] = queue.waiting;
      if (first === undefined || queue.active >= MAX_ACTIVE_PER_QUEUE || !this.#hasRoom(first)) continue;
      queue.waiting.shift();
      this.#waiting -= 1;
      this.#count(first, queue, 1);
      // The queue moves behind all others.
      this.#queues.delete(name);
      this.#queues.set(name, queue);
      return first;
    }
    return undefined;
  }

  /** Frees the slot of a delivery. */
  done(delivery: T): void {
    const queue = this.#queues.get(queueNameOf(delivery));
    if (queue === undefined) return;
    this.#count(delivery, queue, -1);
    if (queue.active === 0 && queue.waiting.length === 0) this.#queues.delete(queueNameOf(delivery));
  }

  /** Whether a delivery may get a slot. A key gets at most half of the free slots, so that other keys find one. */
  #hasRoom({ host, createdBy }: T): boolean {
    const ofHost = this.#activeOfHost.get(host) ?? 0;
    const ofKey = this.#activeOfKey.get(createdBy) ?? 0;
    return ofHost < MAX_ACTIVE_OF_HOST && ofKey < (MAX_ACTIVE - this.#active) / 2;
  }

  #dropLate(queue: KeyHostQueue<T>, now: number): void {
    while (queue.waiting[0] !== undefined && queue.waiting[0].beginBy < now) {
      queue.waiting.shift();
      this.#waiting -= 1;
    }
  }

  #count(delivery: T, queue: KeyHostQueue<T>, by: 1 | -1): void {
    queue.active += by;
    this.#active += by;
    add(this.#activeOfHost, delivery.host, by);
    add(this.#activeOfKey, delivery.createdBy, by);
  }
}

function queueNameOf({ host, createdBy }: Deliverable): string {
  return `${createdBy} ${host}`;
}

function add(counts: Map<string, number>, name: string, by: number): void {
  const count = (counts.get(name) ?? 0) + by;
  if (count === 0) counts.delete(name);
  else counts.set(name, count);
}
