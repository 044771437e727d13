/** The ends of streams of which the server kept only the beginning and the end. */
import { useQuery } from '@tanstack/react-query';
import { EXECUTION_OUTPUT } from '../../client/http/shapes.ts';
import { isTerminal } from '../../core/execution.ts';
import { transport } from '../data/client.ts';
import { type Execution, executionPath } from '../data/executions.ts';
import { ErrorNotice } from '../parts/notice.tsx';

const STREAMS = ['stdout', 'stderr'] as const;

export function KeptEnds({ execution }: { execution: Execution }) {
  const { machine_id: machineId, execution_id: executionId, status } = execution;
  const cut = STREAMS.filter((stream) => execution[`${stream}_truncated`] === true);
  const output = useQuery({
    queryKey: ['kept-ends', executionId],
    queryFn: ({ signal }) =>
      transport.json('GET', `${executionPath(machineId, executionId)}/output`, EXECUTION_OUTPUT, {
        query: { tail: 0, include: 'tail' },
        signal,
      }),
    enabled: isTerminal(status) && cut.length > 0,
  });
  if (output.error !== null) return <ErrorNotice error={output.error} />;
  const ends = cut.flatMap((stream) => {
    const text = output.data?.[`${stream}_tail`];
    return text === undefined ? [] : [{ stream, text }];
  });
  return ends.map(({ stream, text }) => (
    <section key={stream} className="panel" aria-label={`End of ${stream}`}>
      <header>
        <h2>End of {stream}</h2>
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard (axe, scrollable-region-focusable) */}
      <pre className="body kept-end" tabIndex={0}>
        {text}
      </pre>
    </section>
  ));
}
