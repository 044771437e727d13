/** Join tokens that are still valid. */
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import type { JoinTokenWire } from '../../../api/admin.ts';
import { transport } from '../../data/client.ts';
import { itemsOf, listQuery } from '../../data/lists.ts';
import { useReachesAll } from '../../data/session.ts';
import { Age } from '../../parts/age.tsx';
import { Confirm } from '../../parts/confirm.tsx';
import { Empty, Loading } from '../../parts/empty.tsx';
import { ListFooter } from '../../parts/list-footer.tsx';
import { ErrorNotice } from '../../parts/notice.tsx';
import { LimitedNotice } from './keys.tsx';

const PATH = '/v1/join-tokens';

export function TokensPage() {
  const reachesAll = useReachesAll();
  const tokens = useInfiniteQuery({ ...listQuery<JoinTokenWire>(PATH), enabled: reachesAll });
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
        {tokens.isPending && <Loading />}
        {tokens.isSuccess && items.length === 0 && (
          <Empty title="No token that can be used">
            An agent enrols with one. “Add a machine” makes it, for an hour and one use.
          </Empty>
        )}
        {items.length > 0 && <TokenTable tokens={items} onRevoke={setRevoking} />}
        <ListFooter {...tokens} />
      </section>
      {revoking !== undefined && <Revoke token={revoking} onClose={() => setRevoking(undefined)} />}
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
        <tr>
          <th scope="col">Token</th>
          <th scope="col">For machine</th>
          <th scope="col" className="col-short optional">
            Uses
          </th>
          <th scope="col" className="col-age optional">
            Created
          </th>
          <th scope="col" className="col-age">
            Expires
          </th>
          <th scope="col" className="col-action">
            <span className="visually-hidden">Action</span>
          </th>
        </tr>
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
            <td className="col-action">
              <button
                type="button"
                className="button danger small"
                aria-label={`Revoke ${token.join_token_id}`}
                onClick={() => onRevoke(token)}
              >
                Revoke
              </button>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Revoke({ token, onClose }: { token: JoinTokenWire; onClose: () => void }) {
  const queryClient = useQueryClient();
  const revoking = useMutation({
    mutationFn: () => transport.json('DELETE', `${PATH}/${token.join_token_id}`),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: ['list', PATH] });
      onClose();
    },
  });
  return (
    <Confirm
      title="Revoke this join token?"
      action="Revoke"
      busy={revoking.isPending}
      error={revoking.error}
      onConfirm={() => revoking.mutate()}
      onClose={onClose}
    >
      No agent can enrol with it any more. Machines that have joined with it stay.
    </Confirm>
  );
}
