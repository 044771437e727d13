/** Enrolment: an agent exchanges its join token for a machine id. From then on it authenticates with its own credential. */
import type { FastifyRequest } from 'fastify';
import { customAlphabet } from 'nanoid';
import type { Logger } from 'pino';
import { ApiError } from '../../../core/errors.ts';
import { EnrolRequestSchema, EnrolResponseSchema } from '../../../core/enrolment.ts';
import { AGENT_PATHS } from '../../../core/protocol.ts';
import type { Store } from '../../../store/store.ts';
import { ConcurrencyLimiter } from '../../control/agents/concurrency-limiter.ts';
import { clientAddress } from '../authentication/client-address.ts';
import type { App } from '../http-context.ts';
import { machineRefusal } from '../replies/machine-refusal.ts';
import { hasClientCertificate, withoutCertificate } from './client-certificate.ts';
import { FailureLimit } from './failure-limit.ts';
import { hashSecret } from './authentication.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';

const MACHINE_ID = /^dm-[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
/** Maximum size of a request. Ordinary ones have a few hundred bytes. */
const MAX_BODY_BYTES = 16 * 1024;
const REQUEST_FIELDS = Object.keys(EnrolRequestSchema.properties).length;
const freshId = customAlphabet('0123456789abcdefghijklmnopqrstuvwxyz', 16);

export interface EnrolDeps {
  store: Pick<Store, 'enrol' | 'appendAudit'>;
  log: Pick<Logger, 'info' | 'warn'>;
  /** ms since the epoch. */
  now: () => number;
  /** Closes the connections of a machine whose credential was replaced. */
  credentialChanged: (machineId: string) => Promise<void>;
  requireCertificate: boolean;
}

/** Adds `POST /agent/v1/enrol`. A repeated request with the same token and credential gets the same answer. */
export function enrolRoute(app: App, deps: EnrolDeps): void {
  const limit = new FailureLimit({ maxFailures: 20, windowMs: 60_000, addresses: 10_000 });
  /** For how long the limit refuses a request, ms, as of its arrival. */
  const waits = new WeakMap<FastifyRequest, number>();
  const overLimit = new ConcurrencyLimiter(1, 100);
  app.post(
    AGENT_PATHS.enrol,
    {
      // Requests are not authenticated, so little of them may be parsed.
      bodyLimit: MAX_BODY_BYTES,
      config: { access: 'public', documented: { refusals: [401, 403, 429] } },
      schema: {
        summary: 'Enrol an agent',
        operationId: 'enrolAgent',
        tags: ['Agents'],
        body: EnrolRequestSchema,
        response: { 200: EnrolResponseSchema },
      },
      // Every attempt counts before its body is read, whatever the body is.
      onRequest: async (request) => {
        const [source, now] = [clientAddress(request), deps.now()];
        limit.enter(source, now);
        waits.set(request, limit.waitMs(source, now));
      },
      // Once the limit is passed, a malformed request is refused without further work.
      preValidation: async (request) => {
        const retryAfterMs = waits.get(request) ?? 0;
        if (retryAfterMs > 0 && !mayBeGood(request.body)) throw new ApiError('RATE_LIMITED', { retryAfterMs });
      },
      // So is a body that is not JSON, or too large: those are refused before preValidation.
      errorHandler: (error, request) => {
        const retryAfterMs = waits.get(request) ?? 0;
        throw retryAfterMs > 0 && !(error instanceof ApiError) ? new ApiError('RATE_LIMITED', { retryAfterMs }) : error;
      },
    },
    async (request) => {
      if (deps.requireCertificate && !hasClientCertificate(request.raw.socket)) throw withoutCertificate();
      const now = deps.now();
      const source = clientAddress(request);
      const retryAfterMs = waits.get(request) ?? 0;
      const { join_token: token, credential, machine_id: requestedMachineId, name } = request.body;
      if (requestedMachineId !== undefined && !isMachineId(requestedMachineId)) throw refusedId();
      const enrol = () =>
        deps.store.enrol({
          tokenHash: hashSecret(token),
          freshMachineId: `dm-${freshId()}`,
          credentialHash: hashSecret(credential),
          now,
          ...(requestedMachineId !== undefined && { requestedMachineId }),
          ...(name !== undefined && { name }),
        });
      // A valid token always passes, but past the limit tokens are checked one after the other.
      const enrolled = retryAfterMs === 0 ? await enrol() : await overLimit.run(enrol);
      if (enrolled === 'refused') throw new ApiError('RATE_LIMITED', { retryAfterMs });
      if (enrolled.outcome !== 'enrolled') {
        if (retryAfterMs > 0) throw new ApiError('RATE_LIMITED', { retryAfterMs });
        deps.log.warn(
          { [LOG_KEY.source]: source, [LOG_KEY.outcome]: enrolled.outcome },
          'enrolment refused, for the reason in outcome; the agent keeps trying until its settings are corrected',
        );
        throw refusalOf(enrolled.outcome);
      }
      limit.succeeded(source);
      const { machineId } = enrolled.machine;
      if (enrolled.replacedCredential) await deps.credentialChanged(machineId);
      deps.log.info(
        { [LOG_KEY.machineId]: machineId, [LOG_KEY.source]: source, [LOG_KEY.again]: enrolled.replacedCredential },
        'machine enrolled',
      );
      await deps.store.appendAudit({ entry: auditEntry(machineId, source, now) });
      return { machine_id: machineId };
    },
  );
}

function auditEntry(machineId: string, source: string, now: number) {
  return {
    at: now,
    actor: `agent:${machineId}`,
    source,
    action: 'machine.enrol',
    machineId,
    resource: machineId,
    outcome: 'enrolled',
  };
}

/** Whether a body has the fields of a request that may succeed. Once the limit is passed, only such a body is checked. */
function mayBeGood(body: unknown): boolean {
  if (typeof body !== 'object' || body === null) return false;
  return 'join_token' in body && 'credential' in body && Object.keys(body).length <= REQUEST_FIELDS;
}

function isMachineId(id: string): boolean {
  return id.length >= 4 && id.length <= 253 && MACHINE_ID.test(id);
}

function refusalOf(outcome: 'token_invalid' | 'machine_refused' | 'name_taken'): ApiError {
  switch (outcome) {
    case 'token_invalid':
      return refusedToken();
    case 'machine_refused':
      return refusedId();
    case 'name_taken':
      return machineRefusal.nameTaken();
  }
}

function refusedToken(): ApiError {
  return new ApiError('AUTH_INVALID', {
    message: 'The join token is not valid: it is unknown, used, expired or revoked.',
  });
}

function refusedId(): ApiError {
  return new ApiError('INVALID_STATE', {
    message:
      'This join token cannot enrol a machine with this id: the token is for another machine, or the id exists already.',
  });
}
