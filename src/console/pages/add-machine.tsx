/** Adds a machine: shows the command line to run there, and whether the machine has joined. */
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import type { CreatedJoinTokenWire } from '../../api/admin.ts';
import { pageOf } from '../../client/http/pages.ts';
import { AUDIT_ENTRY, CREATED_JOIN_TOKEN, JOIN_TOKEN } from '../../client/http/shapes.ts';
import { transport } from '../data/client.ts';
import { machinesQuery } from '../data/machines.ts';
import { useNow } from '../parts/age.tsx';
import { CodeBlock } from '../parts/code-block.tsx';
import { quoted } from '../data/command.ts';
import { durationText } from '../parts/duration.ts';
import { TextField } from '../parts/field.tsx';
import { ErrorNotice, Notice } from '../parts/notice.tsx';
import { type Joining, joiningState } from './joining.ts';

const MACHINE_ID = /^dm-[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const POLL_INTERVAL_MS = 1500;

export function AddMachinePage() {
  const [name, setName] = useState('');
  const creating = useMutation({
    mutationFn: (machineId: string) =>
      transport.json('POST', '/v1/join-tokens', CREATED_JOIN_TOKEN, {
        body: machineId === '' ? {} : { machine_id: machineId },
      }),
  });
  const wrong = name !== '' && !MACHINE_ID.test(name);
  return (
    <>
      <div className="page-head">
        <h1>Add a machine</h1>
      </div>
      <form
        className="panel form"
        onSubmit={(event) => {
          event.preventDefault();
          creating.mutate(name);
        }}
      >
        <div className="body stack">
          <TextField
            label="Name"
            hint="It begins with dm-. If you leave it empty, the server chooses one."
            wrong={
              wrong ? 'It must be dm- followed by lower-case letters, digits and dashes, such as dm-build-1' : undefined
            }
            placeholder="dm-build-1"
            value={name}
            disabled={creating.isSuccess}
            onChange={(value) => setName(value.trim())}
          />
          {creating.error !== null && <ErrorNotice error={creating.error} />}
          <div className="row">
            {creating.isSuccess ? (
              <button type="button" className="button" onClick={() => creating.reset()}>
                Add another one
              </button>
            ) : (
              <button type="submit" className="button primary" disabled={wrong || creating.isPending}>
                Make a join token
              </button>
            )}
          </div>
        </div>
      </form>
      {creating.data !== undefined && <Join token={creating.data} />}
    </>
  );
}

function Join({ token }: { token: CreatedJoinTokenWire }) {
  const url = location.origin;
  const line = `echo ${token.token ?? ''} | sh install-agent.sh --url ${quoted(url)}`;
  const byHand = `EXECPLANE_URL=${quoted(url)} EXECPLANE_JOIN_TOKEN=${token.token ?? ''} execplane agent`;
  return (
    <>
      <section className="panel form" aria-label="On the machine">
        <header>
          <h2>On the machine</h2>
        </header>
        <div className="body stack">
          <p>On Debian or Ubuntu, in a root shell, in the directory with the packages of this release:</p>
          <CodeBlock text={line} label="Line that installs the agent" />
          <p>If Execplane is installed already, start an agent as the current user:</p>
          <CodeBlock text={byHand} label="Line that starts an agent" />
          <p className="soft small">The token is valid for one use, within an hour. It is not shown again.</p>
        </div>
      </section>
      <JoinProgress token={token} />
    </>
  );
}

function JoinProgress({ token }: { token: CreatedJoinTokenWire }) {
  const { joining, waitedMs } = useJoining(token);
  switch (joining.state) {
    case 'joined':
      return (
        <Notice tone="good" title={`${joining.machineId} has joined`}>
          <div className="row">
            <Link href={`/run?machine=${joining.machineId}`} className="button primary">
              Run a command
            </Link>
            <Link href={`/machines/${joining.machineId}`} className="button">
              See the machine
            </Link>
          </div>
        </Notice>
      );
    case 'expired':
      return (
        <Notice tone="bad" title="The token has expired">
          <p>It was not used. Create a new one with “Add another one”.</p>
        </Notice>
      );
    case 'enrolled':
      return (
        <Notice tone="warn" title={`${joining.machineId} has enrolled, and is not connected yet`}>
          <p>
            This takes a moment. If the machine does not connect, a proxy may block WebSockets: it must forward the
            Upgrade header. Run <code>execplane agent doctor</code> on the machine to find the cause.
          </p>
        </Notice>
      );
    case 'waiting':
      return (
        <Notice tone="busy" title={`Waiting for the machine (${durationText(waitedMs)})`}>
          {joining.long && (
            <p>
              The token has not been used yet. Run <code>curl {location.origin}/readyz</code> on the machine: the answer
              must be ok. If it is not, the machine cannot reach this address. Check name, port, certificate and
              firewall.
            </p>
          )}
        </Notice>
      );
  }
}

function useJoining(token: CreatedJoinTokenWire): { joining: Joining; waitedMs: number } {
  const now = useNow();
  const tokens = useQuery({
    queryKey: ['joining', token.join_token_id],
    queryFn: ({ signal }) => transport.json('GET', '/v1/join-tokens', pageOf(JOIN_TOKEN), { signal }),
    refetchInterval: POLL_INTERVAL_MS,
  });
  const machines = useQuery({ ...machinesQuery, refetchInterval: POLL_INTERVAL_MS });
  const audit = useQuery({
    queryKey: ['joining-audit', token.join_token_id],
    queryFn: ({ signal }) => transport.json('GET', '/v1/audit', pageOf(AUDIT_ENTRY), { query: { limit: 50 }, signal }),
    refetchInterval: POLL_INTERVAL_MS,
  });
  const waitedMs = Math.max(0, now - Date.parse(token.created_at));
  const joining = joiningState({
    token,
    usable: tokens.data?.items,
    machines: machines.data ?? [],
    audit: audit.data?.items ?? [],
    waitedMs,
    now,
  });
  return { joining, waitedMs };
}
