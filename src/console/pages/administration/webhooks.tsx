/** Webhooks that are not delivered yet. */
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import type { WaitingCallbackWire } from '../../../api/console.ts';
import { itemsOf, listQuery } from '../../data/lists.ts';
import { useReachesAll } from '../../data/session.ts';
import { Age } from '../../parts/age.tsx';
import { Empty, Loading } from '../../parts/empty.tsx';
import { ListFooter } from '../../parts/list-footer.tsx';
import { ErrorNotice } from '../../parts/notice.tsx';
import { LimitedNotice } from './keys.tsx';

export function WebhooksPage() {
  const reachesAll = useReachesAll();
  const callbacks = useInfiniteQuery({ ...listQuery<WaitingCallbackWire>('/console/callbacks'), enabled: reachesAll });
  const items = itemsOf(callbacks.data);
  if (!reachesAll) return <LimitedNotice />;
  return (
    <>
      <div className="page-head">
        <h1>Webhooks</h1>
      </div>
      {callbacks.error !== null && <ErrorNotice error={callbacks.error} />}
      <section className="panel" aria-label="Webhooks that wait">
        {callbacks.isPending && <Loading />}
        {callbacks.isSuccess && items.length === 0 && (
          <Empty title="Every webhook is delivered">
            An execution that was created with a callback_url is posted there when it has ended. What could not be
            delivered yet is listed here; why is in the log of the server.
          </Empty>
        )}
        {items.length > 0 && <CallbackTable callbacks={items} />}
        <ListFooter {...callbacks} />
      </section>
    </>
  );
}

function CallbackTable({ callbacks }: { callbacks: readonly WaitingCallbackWire[] }) {
  return (
    <table className="table" aria-label="Webhooks that wait">
      <thead>
        <tr>
          <th scope="col">Goes to</th>
          <th scope="col" className="optional">
            Execution
          </th>
          <th scope="col" className="col-short">
            Tried
          </th>
          <th scope="col" className="col-age">
            Next
          </th>
          <th scope="col" className="col-age optional">
            Since
          </th>
        </tr>
      </thead>
      <tbody>
        {callbacks.map((callback) => (
          <tr key={`${callback.execution_id} ${callback.created_at}`}>
            <td className="mono" title={callback.url}>
              {callback.url}
            </td>
            <td className="optional">
              <Link href={`/machines/${callback.machine_id}/executions/${callback.execution_id}`} className="mono">
                {callback.execution_id}
              </Link>
            </td>
            <td>{callback.attempts === 1 ? 'once' : `${callback.attempts} times`}</td>
            <td>
              <Age at={callback.due_at} />
            </td>
            <td className="optional">
              <Age at={callback.created_at} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
