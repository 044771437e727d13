/** Batches, newest first. */
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { BatchProgress } from './batch-progress.tsx';
import { type Batch, BATCHES, machineCount, titleOf } from '../../data/batches.ts';
import { itemsOf, listQuery } from '../../data/lists.ts';
import { useMay } from '../../data/session.ts';
import { HeadRow } from '../../lists/head-row.tsx';
import { Age } from '../../parts/age.tsx';
import { Empty } from '../../parts/empty.tsx';
import { ListContents } from '../../lists/list-contents.tsx';
import { ErrorNotice } from '../../parts/notice.tsx';
import { BatchStatus } from '../../parts/status.tsx';
import { useRowKeys } from '../../shell/use-row-keys.ts';
import { BATCH } from '../../../client/http/shapes.ts';

export function BatchesPage() {
  const list = useInfiniteQuery(listQuery(BATCHES, BATCH, { include: 'command' }));
  const batches = itemsOf(list.data);
  return (
    <>
      <div className="page-head">
        <h1>Batches</h1>
        <RunOnMany />
      </div>
      {list.error !== null && <ErrorNotice error={list.error} />}
      <section className="panel" aria-label="Batches">
        <ListContents
          list={list}
          count={batches.length}
          empty={
            <Empty title="No batch yet" action={<RunOnMany />}>
              A batch runs one command on many machines, selected by label, a few at a time.
            </Empty>
          }
        >
          <BatchTable batches={batches} />
        </ListContents>
      </section>
    </>
  );
}

function BatchTable({ batches }: { batches: readonly Batch[] }) {
  const chosen = useRowKeys(batches.map(({ batch_id: id }) => `/batches/${id}`));
  return (
    <table className="table" aria-label="Batches">
      <thead>
        <HeadRow
          columns={[
            ['State', 'col-status'],
            ['Command'],
            ['Machines', 'col-short optional'],
            ['Progress', 'col-result optional'],
            ['Created', 'col-age'],
          ]}
        />
      </thead>
      <tbody>
        {batches.map((batch, index) => (
          <tr key={batch.batch_id} className={index === chosen ? 'chosen' : ''}>
            <td>
              <BatchStatus status={batch.status} />
            </td>
            <td>
              <Link href={`/batches/${batch.batch_id}`} className="mono" title={titleOf(batch)}>
                {titleOf(batch)}
              </Link>
            </td>
            <td className="optional">{machineCount(batch)}</td>
            <td className="optional">
              <BatchProgress batch={batch} />
            </td>
            <td>
              <Age at={batch.created_at} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function RunOnMany() {
  if (!useMay('executions:write')) return null;
  return (
    <Link href="/run?on=labels" className="button primary">
      Run on many machines
    </Link>
  );
}
