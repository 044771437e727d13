/** One batch: its progress, and its executions in the order of its machines. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { BatchProgress, progressText } from './batch-progress.tsx';
import { type Batch, batchPath, batchQuery, machineCount, titleOf } from '../../data/batches.ts';
import { transport } from '../../data/client.ts';
import { useMay } from '../../data/session.ts';
import { ExecutionsPanel } from '../../execution/executions-panel.tsx';
import { Age } from '../../parts/age.tsx';
import { Confirm } from '../../parts/confirm.tsx';
import { Unavailable } from '../../parts/empty.tsx';
import { FactsPanel } from '../../parts/facts-panel.tsx';
import { BatchStatus } from '../../parts/status.tsx';
import { BATCH } from '../../../client/http/shapes.ts';

export function BatchPage({ batchId }: { batchId: string }) {
  const batch = useQuery(batchQuery(batchId));
  const mayCancel = useMay('executions:write');
  if (batch.data === undefined) return <Unavailable title={batchId} error={batch.error} />;
  const { status, created_at: created, completed_at: completed } = batch.data;
  return (
    <>
      <div className="page-head">
        <div className="stack-tight">
          <div className="row">
            <BatchStatus status={status} />
            <span className="soft small">on {machinesText(batch.data)}</span>
          </div>
          <h1 className="mono">{titleOf(batch.data)}</h1>
        </div>
        {mayCancel && status === 'running' && <Cancel batchId={batchId} />}
      </div>
      <FactsPanel
        facts={[
          ['Progress', progressText(batch.data)],
          ['Created', <Age key="created" at={created} />],
          ['Ended', completed === undefined ? undefined : <Age key="ended" at={completed} />],
          ['Id', <code key="id">{batchId}</code>],
        ]}
      >
        <div className="body">
          <BatchProgress batch={batch.data} />
        </div>
      </FactsPanel>
      <ExecutionsPanel path={`${batchPath(batchId)}/executions`} empty="No machine has started yet" machine="first" />
    </>
  );
}

function Cancel({ batchId }: { batchId: string }) {
  const [isDialogOpen, setDialogOpen] = useState(false);
  const queryClient = useQueryClient();
  const cancelling = useMutation({
    mutationFn: () => transport.json('DELETE', batchPath(batchId), BATCH),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: ['batch', batchId] });
      setDialogOpen(false);
    },
  });
  return (
    <>
      <button type="button" className="button danger" onClick={() => setDialogOpen(true)}>
        Cancel
      </button>
      {isDialogOpen && (
        <Confirm
          title="Cancel this batch?"
          action="Cancel the batch"
          busy={cancelling.isPending}
          error={cancelling.error}
          onConfirm={() => cancelling.mutate()}
          onClose={() => setDialogOpen(false)}
        >
          Running commands get SIGTERM, then SIGKILL. The remaining machines do not start the command.
        </Confirm>
      )}
    </>
  );
}

function machinesText(batch: Batch): string {
  const count = machineCount(batch);
  return count === 1 ? '1 machine' : `${count} machines`;
}
