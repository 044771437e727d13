/** Metrics: the number of connected agents, and of followed executions. */
import type { RunningControlPlane } from '../../control/control-plane.ts';
import { family, type MetricSource } from './exposition.ts';

export function linkMetrics(control: Pick<RunningControlPlane, 'counts'>): MetricSource {
  return () => {
    const { links, subscribed } = control.counts();
    return (
      family('execplane_links', 'gauge', 'Connections of agents, ready or not.', [['', links]]) +
      family('execplane_followed_executions', 'gauge', 'Executions that a client follows or waits for.', [
        ['', subscribed],
      ])
    );
  };
}
