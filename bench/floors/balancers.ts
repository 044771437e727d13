/** Starts several balancers in front of the same servers, each in a process of its own (balancer-process.ts). */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Child, endAll, startNode } from './child.ts';

const BALANCER = fileURLToPath(new URL('./balancer-process.ts', import.meta.url));

export class Balancers {
  readonly urls: readonly string[];
  readonly #processes: readonly Child[];

  private constructor(p: { urls: readonly string[]; processes: readonly Child[] }) {
    this.urls = p.urls;
    this.#processes = p.processes;
  }

  /** `ports`: those of the servers. */
  static async start(count: number, ports: readonly number[]): Promise<Balancers> {
    const started = Array.from({ length: count }, async () => {
      const balancer = startNode([BALANCER, ...ports.map(String)]);
      const [url] = (await once(createInterface({ input: balancer.stdout }), 'line')) as [string];
      return { balancer, url };
    });
    const all = await Promise.all(started);
    return new Balancers({ urls: all.map(({ url }) => url), processes: all.map(({ balancer }) => balancer) });
  }

  async stop(): Promise<void> {
    await endAll(this.#processes);
  }
}
