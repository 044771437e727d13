/** Authenticates and authorises a request by its headers, before its body is read. */
import type { FastifyRequest } from 'fastify';
import type { Scope } from '../../../api/fields.ts';
import { ApiError } from '../../../core/errors.ts';
import { type ConsoleSession, type ConsoleSessions, isFromConsole } from './console-session.ts';
import type { KeyRing, Principal } from './key-ring.ts';

/** Access to a route. `public`: without a key; `any_key`: with any valid key; otherwise the scope, or one of the scopes, that it needs. */
export type Access = 'public' | 'any_key' | Scope | readonly Scope[];

declare module 'fastify' {
  interface FastifyRequest {
    /** Set on every route that is not public. */
    principal: Principal;
    /** Set if the request came with a session of the console in place of a key. */
    consoleSession?: ConsoleSession;
  }
  interface FastifyContextConfig {
    access?: Access;
  }
}

const BEARER = /^Bearer +(\S+) *$/i;

/** Returns the key of a request; `undefined` if it has none. Throws AUTH_INVALID for two different keys. */
export function presentedKey(headers: FastifyRequest['headers']): string | undefined {
  const bearer = headers.authorization === undefined ? undefined : BEARER.exec(headers.authorization)?.[1];
  const header = headers['x-api-key'];
  const named = typeof header === 'string' && header !== '' ? header : undefined;
  if (bearer !== undefined && named !== undefined && bearer !== named) {
    throw new ApiError('AUTH_INVALID', { message: 'Authorization and x-api-key hold different keys.' });
  }
  return bearer ?? named;
}

/** Sets `request.principal`, or throws AUTH_REQUIRED or AUTH_INVALID. Returns a promise only if the store must be read. */
export function authenticate(
  { keys, consoleSessions }: { keys: KeyRing; consoleSessions: ConsoleSessions },
  request: FastifyRequest,
): void | Promise<void> {
  const key = presentedKey(request.headers);
  const session = key === undefined ? consoleSessions.read(request) : undefined;
  if (session !== undefined) takeSession(request, session);
  const found = session === undefined ? findKey(keys, key) : keys.findHash(session.keyHash);
  if (found instanceof Promise) return found.then((principal) => accept(request, principal));
  return accept(request, found);
}

/** Throws AUTH_SCOPE_FORBIDDEN unless the principal has the scope, and access to the machine in the path. */
export function authorise(request: FastifyRequest, access: Access): void {
  const { principal } = request;
  if (access !== 'any_key' && access !== 'public') assertScope(principal, access);
  const { machine_id: machineId } = request.params as { machine_id?: string };
  if (machineId !== undefined) assertMachine(principal, machineId);
}

/** Throws AUTH_SCOPE_FORBIDDEN if the key has none of the sufficient scopes. */
export function assertScope({ scopes }: Principal, sufficient: Scope | readonly Scope[]): void {
  const some = typeof sufficient === 'string' ? [sufficient] : sufficient;
  if (some.some((scope) => scopes.has(scope))) return;
  throw new ApiError('AUTH_SCOPE_FORBIDDEN', { message: `The API key lacks the scope ${some.join(' or ')}.` });
}

/** Throws AUTH_SCOPE_FORBIDDEN if the key is limited to other machines. */
export function assertMachine(principal: Principal, machineId: string): void {
  if (principal.machineIds !== undefined && !principal.machineIds.includes(machineId)) {
    throw new ApiError('AUTH_SCOPE_FORBIDDEN', { message: 'The API key has no access to this machine.' });
  }
}

/** Throws AUTH_SCOPE_FORBIDDEN if the key is limited to some machines: keys and tokens concern all machines. */
export function assertAllMachines(principal: Principal): void {
  if (principal.machineIds !== undefined) {
    throw new ApiError('AUTH_SCOPE_FORBIDDEN', {
      message: 'The API key is limited to some machines: this needs a key for all machines.',
    });
  }
}

function findKey(keys: KeyRing, key: string | undefined) {
  if (key === undefined) throw new ApiError('AUTH_REQUIRED');
  return keys.find(key);
}

/** Accepts a session only from the console's own pages: a browser sends its cookie with requests of any page. */
function takeSession(request: FastifyRequest, session: ConsoleSession): void {
  if (!isFromConsole(request)) {
    throw new ApiError('AUTH_REQUIRED', { message: 'A session is accepted only from the pages of the console.' });
  }
  request.consoleSession = session;
}

function accept(request: FastifyRequest, principal: Principal | undefined): void {
  if (principal === undefined) throw new ApiError('AUTH_INVALID');
  request.principal = principal;
}
