/** Lists, gets and deletes the artifacts of a machine, and serves their bytes, with a key or by a signed link. */
import type { FastifyRequest } from 'fastify';
import {
  ArtifactListQuery,
  ArtifactListSchema,
  ArtifactParams,
  ArtifactSchema,
  type ArtifactWire,
  DownloadParams,
  DownloadQuery,
} from '../../../api/artifact.ts';
import { MachineParams } from '../../../api/fields.ts';
import { ApiError } from '../../../core/errors.ts';
import type { Artifact } from '../../../store/store.ts';
import type { App, HttpContext } from '../http-context.ts';
import { BINARY } from '../documents/schema-objects.ts';
import { notFound } from '../replies/problem.ts';
import { artifactWire } from '../replies/artifact-wire.ts';
import { replayedResource } from '../requests/idempotency.ts';
import { findMachine } from '../requests/lookup.ts';
import { pageRequest, pageWire } from '../requests/paging.ts';
import { answerArtifact } from '../streams/artifact-content.ts';

const LIST = 'artifacts';
const TAGS = ['Artifacts'];
const MISSING = 'The machine has no such artifact.';
const RANGE_DOCUMENTED = {
  headers: [
    {
      name: 'Range',
      in: 'header',
      required: false,
      description: 'One range of bytes.',
      schema: { type: 'string', examples: ['bytes=0-1023'] },
    },
    {
      name: 'If-None-Match',
      in: 'header',
      required: false,
      description: 'The ETag of an earlier answer: 304 if the bytes are the same.',
      schema: { type: 'string', examples: ['"e3b0c44298fc1c149afbf4c8996fb924"'] },
    },
  ],
  refusals: [416],
  statuses: {
    206: {
      description: 'The requested range.',
      content: { 'application/octet-stream': { schema: BINARY } },
    },
    304: { description: 'The bytes match the given ETag.' },
  },
} as const;

const DOWNLOAD_DOCUMENTED = { ...RANGE_DOCUMENTED, refusals: [401, 404, 416] } as const;

/** Registers the routes of artifacts. */
export function artifactRoutes(app: App, context: HttpContext): void {
  const wire = (request: FastifyRequest) => (artifact: Artifact) =>
    artifactWire(artifact, context.downloads.make(baseUrl(context, request), artifact.artifactId));
  listRoute(app, context, wire);
  getRoute(app, context, wire);
  deleteRoute(app, context, wire);
  contentRoute(app, context);
  downloadRoute(app, context);
}

type Wire = (request: FastifyRequest) => (artifact: Artifact) => ArtifactWire;

function baseUrl({ config }: HttpContext, request: FastifyRequest): string {
  return (config.publicUrl ?? `${request.protocol}://${request.host}`).replace(/\/$/, '');
}

async function findArtifact(
  context: HttpContext,
  params: { machine_id: string; artifact_id: string },
): Promise<Artifact> {
  const artifact = await context.store.getArtifact({ artifactId: params.artifact_id });
  if (artifact?.machineId !== params.machine_id) throw notFound(MISSING);
  return artifact;
}

function listRoute(app: App, context: HttpContext, wire: Wire): void {
  app.get(
    '/v1/machines/:machine_id/artifacts',
    {
      config: { access: 'executions:read' },
      schema: {
        summary: 'List the artifacts of a machine, newest first',
        operationId: 'listArtifacts',
        tags: TAGS,
        params: MachineParams,
        querystring: ArtifactListQuery,
        response: { 200: ArtifactListSchema },
      },
    },
    async (request) => {
      const { machineId } = await findMachine(context, request.params.machine_id);
      const { execution_id: executionId } = request.query;
      const list = `${LIST} ${machineId} ${executionId ?? ''}`;
      const pageQuery = { machineId, ...pageRequest(context.cursors, list, request.query) };
      const page = await context.store.listArtifacts(
        executionId === undefined ? pageQuery : { ...pageQuery, executionId },
      );
      return pageWire(context.cursors, list, page, wire(request));
    },
  );
}

function getRoute(app: App, context: HttpContext, wire: Wire): void {
  app.get(
    '/v1/machines/:machine_id/artifacts/:artifact_id',
    {
      config: { access: 'executions:read' },
      schema: {
        summary: 'Get an artifact, with a link to its bytes',
        operationId: 'getArtifact',
        tags: TAGS,
        params: ArtifactParams,
        response: { 200: ArtifactSchema },
      },
    },
    async (request) => wire(request)(await findArtifact(context, request.params)),
  );
}

function deleteRoute(app: App, context: HttpContext, wire: Wire): void {
  app.delete(
    '/v1/machines/:machine_id/artifacts/:artifact_id',
    {
      config: { access: 'executions:write' },
      schema: {
        summary: 'Delete an artifact',
        operationId: 'deleteArtifact',
        tags: TAGS,
        params: ArtifactParams,
        response: { 200: ArtifactSchema },
      },
    },
    async (request, reply) => {
      const { machine_id: machineId, artifact_id: artifactId } = request.params;
      const deletion = { machineId, artifactId, now: context.now(), ...(await context.onBehalfOf(request)) };
      const deleted = await context.store.deleteArtifact(deletion);
      if (deleted.outcome === 'not_found') throw notFound(MISSING);
      if (deleted.outcome === 'deleted') {
        const { name } = deleted.artifact;
        await context.audit.write(request, {
          action: 'artifact.delete',
          machineId,
          resource: `${artifactId} ${name}`,
          outcome: 'deleted',
        });
        return wire(request)(deleted.artifact);
      }
      replayedResource(deleted, reply);
      const artifact = await context.store.getDeletedArtifact({ artifactId });
      if (artifact?.machineId !== machineId) throw notFound(MISSING);
      return wire(request)(artifact);
    },
  );
}

function contentRoute(app: App, context: HttpContext): void {
  app.get(
    '/v1/machines/:machine_id/artifacts/:artifact_id/content',
    {
      config: { access: 'executions:read', produces: 'application/octet-stream', documented: RANGE_DOCUMENTED },
      schema: {
        summary: 'Get the bytes of an artifact; supports Range',
        operationId: 'getArtifactContent',
        tags: TAGS,
        params: ArtifactParams,
      },
    },
    async (request, reply) => {
      const artifact = await findArtifact(context, request.params);
      const open = () => context.openRequests.open(request, reply);
      await answerArtifact(context, request, reply, { artifact, open });
      return reply;
    },
  );
}

/** The route of `download_url`. */
function downloadRoute(app: App, context: HttpContext): void {
  app.get(
    '/downloads/:artifact_id',
    {
      config: { access: 'public', produces: 'application/octet-stream', documented: DOWNLOAD_DOCUMENTED },
      schema: {
        summary: 'Get the bytes of an artifact by its download_url',
        operationId: 'downloadArtifact',
        tags: TAGS,
        params: DownloadParams,
        querystring: DownloadQuery,
      },
    },
    async (request, reply) => {
      const { artifact_id: artifactId } = request.params;
      const { expires, signature } = request.query;
      if (!context.downloads.isValid(artifactId, expires, signature)) {
        throw new ApiError('AUTH_INVALID', { message: 'The link has expired: get the artifact again.' });
      }
      const artifact = await context.store.getArtifact({ artifactId });
      if (artifact === undefined) throw notFound('The artifact does not exist.');
      const open = () => context.openRequests.openLink(reply);
      await answerArtifact(context, request, reply, { artifact, open });
      return reply;
    },
  );
}
