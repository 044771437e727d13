/** Join tokens that are still valid. */
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import type { JoinTokenWire } from '../../../api/admin.ts';
import { itemsOf, listQuery } from '../../data/lists.ts';
import { useReachesAll } from '../../data/session.ts';
import { ACTION_COLUMN, HeadRow } from '../../lists/head-row.tsx';
import { Age } from '../../parts/age.tsx';
import { Empty } from '../../parts/empty.tsx';
import { ListContents } from '../../lists/list-contents.tsx';
import { ErrorNotice } from '../../parts/notice.tsx';
import { LimitedNotice } from './keys.tsx';
import { Revoke, RevokeCell } from './revoke.tsx';
import { JOIN_TOKEN } from '../../../client/http/shapes.ts';

const PATH = '/v1/join-tokens';

export function TokensPage() {
  const reachesAll = useReachesAll();
  const tokens = useInfiniteQuery({ ...listQuery(PATH, JOIN_TOKEN), enabled: reachesAll });
  const [revoking, setRevoking] = useState<JoinTokenWire>();
  const items = itemsOf(tokens.data);
  if (!reachesAll) return <LimitedNotice />;
  return (
    <>
      <div className="page-head">
        <h1>Join tokens</h1>
        <Link href="/machines/add" className="button primary">
          Add a machine
        </Link>
      </div>
      {tokens.error !== null && <ErrorNotice error={tokens.error} />}
      <section className="panel" aria-label="Join tokens">
        <ListContents
          list={tokens}
          count={items.length}
          empty={
            <Empty title="No valid join token">
              An agent enrols with a join token. “Add a machine” creates one that is valid for an hour and for one use.
            </Empty>
          }
        >
          <TokenTable tokens={items} onRevoke={setRevoking} />
        </ListContents>
      </section>
      {revoking !== undefined && (
        <Revoke
          answer={JOIN_TOKEN}
          path={PATH}
          id={revoking.join_token_id}
          title="Revoke this join token?"
          onClose={() => setRevoking(undefined)}
        >
          No agent can enrol with it any more. Machines that joined with it are not affected.
        </Revoke>
      )}
    </>
  );
}

function TokenTable({
  tokens,
  onRevoke,
}: {
  tokens: readonly JoinTokenWire[];
  onRevoke: (token: JoinTokenWire) => void;
}) {
  return (
    <table className="table" aria-label="Join tokens">
      <thead>
        <HeadRow
          columns={[
            ['Token'],
            ['For machine'],
            ['Uses', 'col-short optional'],
            ['Created', 'col-age optional'],
            ['Expires', 'col-age'],
            ACTION_COLUMN,
          ]}
        />
      </thead>
      <tbody>
        {tokens.map((token) => (
          <tr key={token.join_token_id}>
            <td>
              <code>{token.join_token_id}</code>
            </td>
            <td>
              {token.machine_id === undefined ? (
                'a new one'
              ) : (
                <Link href={`/machines/${token.machine_id}`}>{token.machine_id}</Link>
              )}
            </td>
            <td className="optional">{token.reusable ? 'any number' : 'one'}</td>
            <td className="optional">
              <Age at={token.created_at} />
            </td>
            <td>
              <Age at={token.expires_at} />
            </td>
            <RevokeCell name={token.join_token_id} onRevoke={() => onRevoke(token)} />
          </tr>
        ))}
      </tbody>
    </table>
  );
}
