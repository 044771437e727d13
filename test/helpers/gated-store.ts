/** A store whose writes can be delayed, or answered in another order, at the point where a race would be. */
import type { Store } from '../../src/store/store.ts';

type Method = keyof Store;

interface Gate {
  reached: Promise<void>;
  release: () => void;
}

export class Gates {
  readonly #held = new Map<Method, { before: boolean; released: Promise<void>; arrived: () => void }>();

  /** From now on what `method` returns is held back, after it has been written; `reached` settles at the first call. */
  hold(method: Method): Gate {
    return this.#close(method, false);
  }

  /** From now on `method` does not reach the store. */
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

  /** What is held stays so; from now on `method` passes. */
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
