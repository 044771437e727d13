/** Agent authentication: an HTTP upgrade with a credential becomes a WebSocket, or gets a plain HTTP refusal. */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { ApiError } from '../../../core/errors.ts';
import { AGENT_PATHS } from '../../../core/protocol.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';
import { type Store, StoreUnavailableError } from '../../../store/store.ts';
import type { RunningControlPlane } from '../../control/control-plane.ts';
import { answerBare } from '../replies/bare-answer.ts';
import { notFound, Problem } from '../replies/problem.ts';
import { createRequestIds } from '../requests/request-ids.ts';
import { createWebSocketServer, type UpgradeHandler } from '../requests/web-sockets.ts';
import { isTerminalStream } from '../terminals/stream-upgrade.ts';
import { hasClientCertificate, withoutCertificate } from './client-certificate.ts';

const WRONG_CREDENTIAL = 'The credential of this agent is missing or not valid.';
const BEARER = /^Bearer (xpa_[A-Za-z0-9_-]{43})$/;

export interface UpgradeDeps {
  store: Pick<Store, 'findMachineByCredential'>;
  log: Pick<Logger, 'info' | 'error'>;
  /** Accepts authenticated agents while it is ready. */
  control: Pick<RunningControlPlane, 'ready' | 'admit'>;
  /** Largest message of an agent, bytes. */
  maxFrameBytes: number;
  requireCertificate: boolean;
}

/** Returns the handler for `upgrade` events of the HTTP server. It never throws, and refuses requests that are not from an agent. */
export function createUpgradeHandler(deps: UpgradeDeps): UpgradeHandler {
  const nextRequestId = createRequestIds();
  const server = createWebSocketServer(deps.maxFrameBytes, nextRequestId);
  return (request, socket, head) => {
    if (isTerminalStream(request)) return;
    const hangUp = (): void => void socket.destroy();
    socket.on('error', hangUp);
    authenticate(deps, request).then(
      (answer) => {
        if (socket.destroyed) return;
        if ('refusal' in answer) {
          answerBare(socket, answer.refusal, nextRequestId());
          return;
        }
        socket.off('error', hangUp);
        server.handleUpgrade(request, socket, head, (ws) => {
          const { machineId, credentialHash } = answer;
          deps.control.admit({ ws, socket: socket as Socket, machineId, credentialHash });
        });
      },
      (cause: unknown) => {
        deps.log.error(
          { err: cause },
          'an agent was answered with 500 and tries again: an error of the server; report it',
        );
        answerBare(socket, new Problem(500, 'The server failed.'), nextRequestId());
      },
    );
  };
}

/** SHA-256 of a credential or token, as the store keeps it. */
export function hashSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

type Answer = { machineId: string; credentialHash: Buffer } | { refusal: ApiError | Problem };

async function authenticate(deps: UpgradeDeps, request: IncomingMessage): Promise<Answer> {
  const path = request.url?.split('?', 1)[0];
  if (path !== AGENT_PATHS.link) return { refusal: notFound() };
  if (!deps.control.ready)
    return { refusal: new ApiError('DEPENDENCY_UNAVAILABLE', { message: 'The server is stopping.' }) };
  if (deps.requireCertificate && !hasClientCertificate(request.socket)) {
    deps.log.info(
      { [LOG_KEY.source]: request.socket.remoteAddress },
      'an agent without a valid client certificate was refused; it keeps trying',
    );
    return { refusal: withoutCertificate() };
  }
  const credential = BEARER.exec(request.headers.authorization ?? '')?.[1];
  if (credential === undefined) return { refusal: new ApiError('AUTH_REQUIRED', { message: WRONG_CREDENTIAL }) };
  const hash = hashSecret(credential);
  try {
    const machine = await deps.store.findMachineByCredential({ credentialHash: hash });
    if (machine !== undefined && machine.phase !== 'destroyed') {
      return { machineId: machine.machineId, credentialHash: hash };
    }
  } catch (cause) {
    if (cause instanceof StoreUnavailableError) return { refusal: new ApiError('DEPENDENCY_UNAVAILABLE', { cause }) };
    throw cause;
  }
  deps.log.info(
    { [LOG_KEY.source]: request.socket.remoteAddress },
    'an agent with an unknown credential was refused; it keeps trying',
  );
  return { refusal: new ApiError('AUTH_INVALID', { message: WRONG_CREDENTIAL }) };
}
