/** The terminals of a machine, one per tab. They keep running when the page is closed. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useLocation } from 'wouter';
import type { TerminalWire } from '../../api/terminal.ts';
import { pageOf } from '../../client/http/pages.ts';
import { transport } from '../data/client.ts';
import { LIVE_MS } from '../data/lists.ts';
import { machinePath } from '../data/machines.ts';
import { Age } from '../parts/age.tsx';
import { Empty } from '../parts/empty.tsx';
import { ErrorNotice, Notice } from '../parts/notice.tsx';
import { TerminalView } from '../terminal/terminal-view.tsx';
import { TERMINAL } from '../../client/http/shapes.ts';

const FIRST_SIZE = { width: 80, height: 24 };
const ENDS = new Set<TerminalWire['status']>(['closed', 'expired', 'failed']);

export function TerminalPage({ machineId, terminalId }: { machineId: string; terminalId?: string }) {
  const [, navigate] = useLocation();
  const queryClient = useQueryClient();
  const path = `${machinePath(machineId)}/terminals`;
  const queryKey = ['terminals', machineId];
  const terminals = useQuery({
    queryKey,
    queryFn: ({ signal }) => transport.json('GET', path, pageOf(TERMINAL), { signal }),
    refetchInterval: LIVE_MS,
  });
  const goTo = (id?: string) => navigate(`/machines/${machineId}/terminals${id === undefined ? '' : `/${id}`}`);
  const opening = useMutation({
    mutationFn: () => transport.json('POST', path, TERMINAL, { body: FIRST_SIZE }),
    onSuccess: async ({ terminal_id: id }) => {
      await queryClient.invalidateQueries({ queryKey });
      goTo(id);
    },
  });
  const closing = useMutation({
    mutationFn: (id: string) => transport.json('DELETE', `${path}/${id}`, TERMINAL),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey });
      goTo();
    },
  });
  const running = (terminals.data?.items ?? []).filter(({ status }) => !ENDS.has(status)).reverse();
  const waits = running.some(({ terminal_id: id, status }) => id === terminalId && status === 'wake_in_progress');
  const error = terminals.error ?? opening.error ?? closing.error;
  return (
    <>
      <div className="page-head">
        <h1>
          Terminals on <Link href={`/machines/${machineId}`}>{machineId}</Link>
        </h1>
        <div className="row">
          {terminalId !== undefined && (
            <button type="button" className="button danger" onClick={() => closing.mutate(terminalId)}>
              End this one
            </button>
          )}
          <button
            type="button"
            className="button primary"
            disabled={opening.isPending}
            onClick={() => opening.mutate()}
          >
            Open a terminal
          </button>
        </div>
      </div>
      {error !== null && <ErrorNotice error={error} />}
      <Tabs terminals={running} machineId={machineId} chosen={terminalId} />
      {waits && <Notice tone="busy" title="The machine is not connected. The terminal opens when it connects." />}
      {terminalId !== undefined && !waits && <TerminalView key={terminalId} path={`${path}/${terminalId}`} />}
      {terminalId === undefined && running.length === 0 && (
        <section className="panel" aria-label="No terminal">
          <Empty title="No terminal is open here">
            A terminal is a shell that keeps running when you close this page. You can return to it at any time.
          </Empty>
        </section>
      )}
    </>
  );
}

function Tabs(props: { terminals: readonly TerminalWire[]; machineId: string; chosen: string | undefined }) {
  if (props.terminals.length === 0) return null;
  return (
    <nav className="segments" aria-label="Open terminals">
      {props.terminals.map(({ terminal_id: id, created_at: createdAt }) => (
        <Link
          key={id}
          href={`/machines/${props.machineId}/terminals/${id}`}
          className="button quiet"
          aria-current={id === props.chosen ? 'page' : undefined}
        >
          opened <Age at={createdAt} />
        </Link>
      ))}
    </nav>
  );
}
