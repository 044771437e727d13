/** The panel with a list of executions. */
import { useInfiniteQuery } from '@tanstack/react-query';
import { EXECUTION } from '../../client/http/shapes.ts';
import { itemsOf, listQuery } from '../data/lists.ts';
import { useMay } from '../data/session.ts';
import { ListContents } from '../lists/list-contents.tsx';
import { Empty } from '../parts/empty.tsx';
import { ErrorNotice } from '../parts/notice.tsx';
import { ExecutionTable, type ExecutionTableProps } from './execution-table.tsx';

interface ExecutionsPanelProps extends Pick<ExecutionTableProps, 'machine'> {
  /** Path of the list in the API. */
  path: string;
  /** The title in place of no executions. */
  empty: string;
}

/** Shows nothing to a key that may not read executions. */
export function ExecutionsPanel({ path, empty, machine }: ExecutionsPanelProps) {
  const mayRead = useMay('executions:read');
  const list = useInfiniteQuery({ ...listQuery(path, EXECUTION), enabled: mayRead });
  const executions = itemsOf(list.data);
  if (!mayRead) return null;
  return (
    <section className="panel" aria-label="Executions">
      <header>
        <h2>Executions</h2>
      </header>
      {list.error !== null && <ErrorNotice error={list.error} />}
      <ListContents list={list} count={executions.length} empty={<Empty title={empty} />}>
        <ExecutionTable executions={executions} machine={machine} />
      </ListContents>
    </section>
  );
}
