/** A panel of facts: a term and its value each. */
import type { ReactNode } from 'react';

interface FactsPanelProps {
  /** A fact whose value is `undefined` is not shown. */
  facts: readonly (readonly [term: string, value: ReactNode])[];
  /** Below the facts. */
  children?: ReactNode;
}

export function FactsPanel({ facts, children }: FactsPanelProps) {
  return (
    <section className="panel" aria-label="Facts">
      <dl className="facts body">
        {facts.map(([term, value]) =>
          value === undefined ? null : (
            <div key={term}>
              <dt>{term}</dt>
              <dd>{value}</dd>
            </div>
          ),
        )}
      </dl>
      {children}
    </section>
  );
}
