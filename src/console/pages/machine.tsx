/** One machine: its facts, its executions, its actions. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useLocation } from 'wouter';
import { transport } from '../data/client.ts';
import { executionsPath } from '../data/executions.ts';
import { type Machine, machinePath, machineQuery } from '../data/machines.ts';
import { useMay } from '../data/session.ts';
import { EditMachine } from '../machine/edit-machine.tsx';
import { Age } from '../parts/age.tsx';
import { Confirm } from '../parts/confirm.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { durationText } from '../parts/duration.ts';
import { Unavailable } from '../parts/empty.tsx';
import { ExecutionsPanel } from '../execution/executions-panel.tsx';
import { FactsPanel } from '../parts/facts-panel.tsx';
import { Labels } from '../parts/labels.tsx';
import { ErrorNotice, Notice } from '../parts/notice.tsx';
import { MachineStatus } from '../parts/status.tsx';
import { MACHINE_DETAIL } from '../../client/http/shapes.ts';

export function MachinePage({ machineId }: { machineId: string }) {
  const machine = useQuery(machineQuery(machineId));
  if (machine.data === undefined) {
    return <Unavailable title={machineId} error={machine.error} />;
  }
  return (
    <>
      <div className="page-head">
        <div className="row">
          <h1>{machineId}</h1>
          <MachineStatus machine={machine.data} />
        </div>
        {machine.data.status.phase !== 'destroyed' && <Actions machine={machine.data} />}
      </div>
      <WhatIsWrong machine={machine.data} />
      <Facts machine={machine.data} />
      <ExecutionsPanel path={executionsPath(machineId)} empty="No executions yet" machine="hidden" />
    </>
  );
}

function WhatIsWrong({ machine: { status } }: { machine: Machine }) {
  if (status.reason === 'never_joined') {
    return (
      <Notice tone="warn" title="No agent has joined as this machine yet">
        <p>Its commands wait until an agent joins. Use “Add a machine” with the same name to create a join token.</p>
      </Notice>
    );
  }
  if (status.reason !== 'agent_away') return null;
  return (
    <Notice tone="warn" title="Its agent is not connected">
      <p>
        Running commands continue, and new ones wait. On the machine, run <code>systemctl status execplane-agent</code>{' '}
        or <code>execplane agent doctor</code> to find the cause.
      </p>
      {status.last_error !== undefined && <p>Last error: {status.last_error}</p>}
    </Notice>
  );
}

function Facts({ machine }: { machine: Machine }) {
  const {
    name,
    provider,
    status,
    labels = {},
    facts: reported,
    vcpu,
    memory_mib: memory,
    storage_gib: storage,
    autosleep_seconds: sleeps,
  } = machine;
  const facts = [
    ['Name', name],
    ['Provider', provider],
    ['Host', reported?.hostname],
    ['System', reported === undefined ? undefined : `${reported.os} ${reported.arch}`],
    ['Agent', reported?.agent_version],
    ['Processors', vcpu > 0 ? String(vcpu) : 'not known yet'],
    ['Memory', memory > 0 ? `${(memory / 1024).toFixed(1)} GiB` : 'not known yet'],
    ['Storage', storage > 0 ? `${storage} GiB` : 'not known yet'],
    ['Idle time before sleep', sleeps > 0 ? durationText(sleeps * 1000) : 'never'],
    ['State since', <Age key="since" at={status.last_transition_at} />],
    ['Last heard from', <Age key="heard" at={status.last_progress_at} />],
    ['Labels', Object.keys(labels).length === 0 ? undefined : <Labels key="labels" labels={labels} />],
  ] as const;
  return <FactsPanel facts={facts} />;
}

function Actions({ machine }: { machine: Machine }) {
  const [openDialog, setOpenDialog] = useState<'change' | 'rotate' | 'remove'>();
  const mayRun = useMay('executions:write');
  const mayChange = useMay('machines:write');
  const isAdmin = useMay('admin');
  const { machine_id: machineId, status, provider } = machine;
  const close = () => setOpenDialog(undefined);
  return (
    <div className="row">
      {(mayChange || mayRun) && status.phase === 'sleeping' && status.reason !== 'agent_away' && (
        <Power machineId={machineId} verb="wake" text="Wake" />
      )}
      {mayChange && provider !== undefined && status.phase === 'running' && (
        <Power machineId={machineId} verb="sleep" text="Put to sleep" />
      )}
      {isAdmin && status.phase === 'running' && (
        <button type="button" className="button" onClick={() => setOpenDialog('rotate')}>
          Rotate credential
        </button>
      )}
      {mayChange && (
        <button type="button" className="button" onClick={() => setOpenDialog('change')}>
          Change
        </button>
      )}
      {mayChange && (
        <button type="button" className="button danger" onClick={() => setOpenDialog('remove')}>
          Remove
        </button>
      )}
      {mayRun && (
        <Link href={`/machines/${machineId}/terminals`} className="button">
          Terminals
        </Link>
      )}
      {mayRun && (
        <Link href={`/run?machine=${machineId}`} className="button primary">
          Run a command
        </Link>
      )}
      {openDialog === 'change' && <EditMachine machine={machine} onClose={close} />}
      {openDialog === 'rotate' && <Rotate machineId={machineId} onClose={close} />}
      {openDialog === 'remove' && <Remove machineId={machineId} onClose={close} />}
    </div>
  );
}

/** Asks the provider of a machine to wake it, or to put it to sleep. */
function Power({ machineId, verb, text }: { machineId: string; verb: 'wake' | 'sleep'; text: string }) {
  const queryClient = useQueryClient();
  const asking = useMutation({
    mutationFn: () => transport.json('POST', `${machinePath(machineId)}/${verb}`, MACHINE_DETAIL),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ['machines'] }),
  });
  return (
    <>
      <button type="button" className="button" disabled={asking.isPending} onClick={() => asking.mutate()}>
        {text}
      </button>
      {asking.error !== null && (
        <Dialog title={`${text}: not possible`} onClose={() => asking.reset()}>
          <div className="stack">
            <ErrorNotice error={asking.error} />
            <div className="row end">
              <button type="button" className="button" onClick={() => asking.reset()}>
                Close
              </button>
            </div>
          </div>
        </Dialog>
      )}
    </>
  );
}

function Rotate({ machineId, onClose }: { machineId: string; onClose: () => void }) {
  const rotating = useMutation({
    mutationFn: () => transport.json('POST', `${machinePath(machineId)}/rotate`, MACHINE_DETAIL),
    onSuccess: onClose,
  });
  return (
    <Confirm
      title="Give the agent a new credential?"
      action="Rotate"
      busy={rotating.isPending}
      error={rotating.error}
      onConfirm={() => rotating.mutate()}
      onClose={onClose}
    >
      The old credential becomes invalid when the agent has the new one. Running commands continue.
    </Confirm>
  );
}

function Remove({ machineId, onClose }: { machineId: string; onClose: () => void }) {
  const queryClient = useQueryClient();
  const [, navigate] = useLocation();
  const removing = useMutation({
    mutationFn: () => transport.json('DELETE', machinePath(machineId), MACHINE_DETAIL),
    onSuccess: async () => {
      onClose();
      await queryClient.invalidateQueries({ queryKey: ['machines'] });
      navigate('/machines');
    },
  });
  return (
    <Confirm
      title="Remove this machine for good?"
      action="Remove"
      typed={machineId}
      busy={removing.isPending}
      error={removing.error}
      onConfirm={() => removing.mutate()}
      onClose={onClose}
    >
      Running commands are ended, waiting ones are cancelled, and the agent is refused from now on. The name cannot be
      used again. Executions stay until their retention ends.
    </Confirm>
  );
}
