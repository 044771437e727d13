/** Metrics of the numbers of connected agents and of followed executions. */
import { Gauge, type Registry } from 'prom-client';
import type { RunningControlPlane } from '../../control/control-plane.ts';

/** Adds both gauges to `registry`. They are read at each scrape. */
export function registerLinkMetrics(registry: Registry, control: Pick<RunningControlPlane, 'counts'>): void {
  const registers = [registry];
  new Gauge({
    name: 'execplane_links',
    help: 'Connections of agents, ready or not.',
    registers,
    collect() {
      this.set(control.counts().links);
    },
  });
  new Gauge({
    name: 'execplane_followed_executions',
    help: 'Executions that a client follows or waits for.',
    registers,
    collect() {
      this.set(control.counts().subscribed);
    },
  });
}
