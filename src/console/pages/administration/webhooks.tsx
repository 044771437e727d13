/** Webhooks that are not delivered yet. */
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import type { WaitingCallbackWire } from '../../../api/console.ts';
import { itemsOf, listQuery } from '../../data/lists.ts';
import { useReachesAll } from '../../data/session.ts';
import { HeadRow } from '../../lists/head-row.tsx';
import { Age } from '../../parts/age.tsx';
import { Empty } from '../../parts/empty.tsx';
import { ListContents } from '../../lists/list-contents.tsx';
import { ErrorNotice } from '../../parts/notice.tsx';
import { LimitedNotice } from './keys.tsx';
import { WAITING_CALLBACK } from '../../data/shapes.ts';

export function WebhooksPage() {
  const reachesAll = useReachesAll();
  const callbacks = useInfiniteQuery({ ...listQuery('/console/callbacks', WAITING_CALLBACK), enabled: reachesAll });
  const items = itemsOf(callbacks.data);
  if (!reachesAll) return <LimitedNotice />;
  return (
    <>
      <div className="page-head">
        <h1>Webhooks</h1>
      </div>
      {callbacks.error !== null && <ErrorNotice error={callbacks.error} />}
      <section className="panel" aria-label="Webhooks that wait">
        <ListContents
          list={callbacks}
          count={items.length}
          empty={
            <Empty title="No undelivered webhooks">
              An execution that was created with a callback_url is posted there when it has ended. This page lists the
              deliveries that have failed so far. The server log contains the reasons.
            </Empty>
          }
        >
          <CallbackTable callbacks={items} />
        </ListContents>
      </section>
    </>
  );
}

function CallbackTable({ callbacks }: { callbacks: readonly WaitingCallbackWire[] }) {
  return (
    <table className="table" aria-label="Webhooks that wait">
      <thead>
        <HeadRow
          columns={[
            ['Goes to'],
            ['Execution', 'optional'],
            ['Tried', 'col-short'],
            ['Next', 'col-age'],
            ['Since', 'col-age optional'],
          ]}
        />
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
