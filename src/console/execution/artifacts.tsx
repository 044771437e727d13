/** The artifacts of an execution. */
import { useQuery } from '@tanstack/react-query';
import type { ArtifactWire } from '../../api/artifact.ts';
import { pageOf } from '../../client/http/pages.ts';
import { ARTIFACT } from '../../client/http/shapes.ts';
import { transport } from '../data/client.ts';
import type { Execution } from '../data/executions.ts';
import { machinePath } from '../data/machines.ts';
import { HeadRow } from '../lists/head-row.tsx';
import { Age } from '../parts/age.tsx';
import { bytesText } from '../parts/duration.ts';
import { Loading } from '../parts/empty.tsx';
import { ErrorNotice } from '../parts/notice.tsx';

/** Maximum number of artifacts of an execution. */
const MAX_ARTIFACTS = 100;

export function Artifacts({ execution }: { execution: Execution }) {
  const { machine_id: machineId, execution_id: executionId, artifacts = [] } = execution;
  const path = `${machinePath(machineId)}/artifacts`;
  const list = useQuery({
    queryKey: ['artifacts', executionId, artifacts.length],
    queryFn: ({ signal }) =>
      transport.json('GET', path, pageOf(ARTIFACT), {
        query: { execution_id: executionId, limit: MAX_ARTIFACTS },
        signal,
      }),
    enabled: artifacts.length > 0,
  });
  if (artifacts.length === 0) return null;
  const items = list.data?.items.toSorted((a, b) => (a.name < b.name ? -1 : 1)) ?? [];
  return (
    <section className="panel" aria-label="Artifacts">
      <header>
        <h2>Artifacts</h2>
      </header>
      {list.isPending && <Loading />}
      {list.error !== null && <ErrorNotice error={list.error} />}
      {items.length > 0 && <ArtifactTable artifacts={items} path={path} />}
    </section>
  );
}

function ArtifactTable({ artifacts, path }: { artifacts: readonly ArtifactWire[]; path: string }) {
  return (
    <table className="table" aria-label="Artifacts">
      <thead>
        <HeadRow columns={[['Name'], ['Size', 'col-age'], ['Type', 'optional'], ['Deleted', 'col-age optional']]} />
      </thead>
      <tbody>
        {artifacts.map((artifact) => (
          <tr key={artifact.artifact_id}>
            <td title={`SHA-256 ${artifact.sha256}`}>
              <a href={`${path}/${artifact.artifact_id}/content`} download={artifact.name.split('/').at(-1)}>
                {artifact.name}
              </a>
            </td>
            <td>{bytesText(artifact.size_bytes)}</td>
            <td className="optional">{artifact.mime_type}</td>
            <td className="optional">
              {artifact.expires_at === undefined ? 'never' : <Age at={artifact.expires_at} />}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
