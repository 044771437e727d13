/** API keys: their scopes, machines and expiry. */
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { ApiKeyWire } from '../../../api/admin.ts';
import { itemsOf, listQuery } from '../../data/lists.ts';
import { useReachesAll } from '../../data/session.ts';
import { ACTION_COLUMN, HeadRow } from '../../lists/head-row.tsx';
import { Age } from '../../parts/age.tsx';
import { Empty } from '../../parts/empty.tsx';
import { ListContents } from '../../lists/list-contents.tsx';
import { ErrorNotice, Notice } from '../../parts/notice.tsx';
import { Secret } from '../../parts/secret.tsx';
import { NewKeyDialog } from './new-key.tsx';
import { Revoke, RevokeCell } from './revoke.tsx';
import { API_KEY } from '../../../client/http/shapes.ts';

const PATH = '/v1/api-keys';

export function KeysPage() {
  const reachesAll = useReachesAll();
  const keys = useInfiniteQuery({ ...listQuery(PATH, API_KEY), enabled: reachesAll });
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<string>();
  const [revoking, setRevoking] = useState<ApiKeyWire>();
  const items = itemsOf(keys.data);
  if (!reachesAll) return <LimitedNotice />;
  return (
    <>
      <div className="page-head">
        <h1>API keys</h1>
        <button type="button" className="button primary" onClick={() => setMaking(true)}>
          Make a key
        </button>
      </div>
      {keys.error !== null && <ErrorNotice error={keys.error} />}
      <section className="panel" aria-label="API keys">
        <ListContents
          list={keys}
          count={items.length}
          empty={
            <Empty title="No key but the admin key">
              Create a key for each program and person, with only the scopes that it needs. Then you can revoke one key
              without the others.
            </Empty>
          }
        >
          <KeyTable keys={items} onRevoke={setRevoking} />
        </ListContents>
      </section>
      {making && (
        <NewKeyDialog
          onClose={() => setMaking(false)}
          onMade={(key) => {
            setMaking(false);
            setMade(key);
          }}
        />
      )}
      {made !== undefined && <Secret title="The new API key" secret={made} onClose={() => setMade(undefined)} />}
      {revoking !== undefined && (
        <Revoke
          answer={API_KEY}
          path={PATH}
          id={revoking.api_key_id}
          title={`Revoke “${revoking.name}”?`}
          onClose={() => setRevoking(undefined)}
        >
          The key stops working at once, and its streams and console sessions end. This cannot be undone.
        </Revoke>
      )}
    </>
  );
}

export function LimitedNotice() {
  return (
    <Notice tone="warn" title="This key is limited to some machines">
      <p>
        Keys and join tokens concern all machines. Only a key that is not limited to some machines can see and change
        them.
      </p>
    </Notice>
  );
}

function KeyTable({ keys, onRevoke }: { keys: readonly ApiKeyWire[]; onRevoke: (key: ApiKeyWire) => void }) {
  return (
    <table className="table" aria-label="API keys">
      <thead>
        <HeadRow
          columns={[
            ['Name'],
            ['May do'],
            ['Machines', 'optional'],
            ['Last used', 'col-age optional'],
            ['Expires', 'col-age optional'],
            ACTION_COLUMN,
          ]}
        />
      </thead>
      <tbody>
        {keys.map((key) => (
          <tr key={key.api_key_id}>
            <td title={`${key.name} ${key.api_key_id}`}>{key.name}</td>
            <td title={key.scopes.join(', ')}>{key.scopes.join(', ')}</td>
            <td className="optional" title={key.machine_ids?.join(', ')}>
              {key.machine_ids?.join(', ') ?? 'all'}
            </td>
            <td className="optional">{key.last_used_at === undefined ? 'never' : <Age at={key.last_used_at} />}</td>
            <td className="optional">{key.expires_at === undefined ? 'never' : <Age at={key.expires_at} />}</td>
            <RevokeCell name={key.name} onRevoke={() => onRevoke(key)} />
          </tr>
        ))}
      </tbody>
    </table>
  );
}
