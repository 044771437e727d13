/** A store whose calls a test can delay or reorder, to reproduce races. */
import type { Store } from '../../src/store/store.ts';

type Method = keyof Store;

interface Gate {
  reached: Promise<void>;
  release: () => void;
}

export class Gates {
  readonly #held = new Map<Method, { before: boolean; released: Promise<void>; arrived: () => void }>();

  /** Delays the results of `method`, after the store has executed it. `reached` settles at the first call. */
  hold(method: Method): Gate {
    return this.#close(method, false);
  }

  /** Delays calls of `method` before they reach the store. */
  holdBefore(method: Method): Gate {
    return this.#close(method, true);
  }

  #close(method: Method, before: boolean): Gate {
    const reached = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    this.#held.set(method, { before, released: released.promise, arrived: reached.resolve });
    return {
      reached: reached.promise,
      release: () => {
        this.#held.delete(method);
        released.resolve();
      },
    };
  }

  /** Stops delaying `method`. Calls that are already delayed stay delayed. */
  pass(method: Method): void {
    this.#held.delete(method);
  }

  /** The store behind these gates. */
  wrap = (store: Store): Store =>
    new Proxy(store, {
      get: (target, property) => {
        const method = target[property as Method] as (...args: unknown[]) => Promise<unknown>;
        if (typeof method !== 'function') return method;
        return async (...args: unknown[]) => {
          const gate = this.#held.get(property as Method);
          if (gate === undefined) return method.apply(target, args);
          const result = gate.before ? undefined : await method.apply(target, args);
          gate.arrived();
          await gate.released;
          return gate.before ? method.apply(target, args) : result;
        };
      },
    });
}
