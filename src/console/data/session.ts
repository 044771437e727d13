/** The session: its key, scopes and machines. */
import { queryOptions, useQuery, useQueryClient } from '@tanstack/react-query';
import type { ConsoleSession } from '../../api/console.ts';
import type { Scope } from '../../api/fields.ts';
import { RefusedError } from '../../client/http/errors.ts';
import { transport } from './client.ts';
import { CONSOLE_SESSION, SIGN_IN_WAYS } from './shapes.ts';

const PATH = '/console/session';
/** Interval at which the session is read, which renews it, ms. */
const RENEW_EVERY_MS = 5 * 60_000;

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: async ({ signal }): Promise<ConsoleSession | null> => {
    try {
      return await transport.json('GET', PATH, CONSOLE_SESSION, { signal });
    } catch (error) {
      if (error instanceof RefusedError && error.status === 401) return null;
      throw error;
    }
  },
  refetchInterval: RENEW_EVERY_MS,
  staleTime: RENEW_EVERY_MS,
});

/** The ways to sign in besides an API key. */
export const signInWaysQuery = queryOptions({
  queryKey: ['sign-in-ways'],
  queryFn: ({ signal }) => transport.json('GET', '/console/sign-in-ways', SIGN_IN_WAYS, { signal }),
  staleTime: Number.POSITIVE_INFINITY,
});

/** Exchanges an API key for a session. The key itself is not stored. */
export function signIn(key: string): Promise<ConsoleSession> {
  return transport.json('POST', PATH, CONSOLE_SESSION, { body: { key }, attempts: 1 });
}

/** Returns a function that ends the session and returns to the sign-in page. */
export function useSignOut(): () => Promise<void> {
  const queryClient = useQueryClient();
  return async () => {
    await transport.open('DELETE', PATH, { attempts: 1 });
    queryClient.setQueryData(sessionQuery.queryKey, null);
    queryClient.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== sessionQuery.queryKey[0] });
  };
}

/** Whether the key of the session has a scope. Actions that it may not take are not shown. */
export function useMay(scope: Scope): boolean {
  return useQuery(sessionQuery).data?.scopes.includes(scope) ?? false;
}

/** Whether the key has access to every machine. A key that is limited to some cannot manage keys and tokens. */
export function useReachesAll(): boolean {
  const session = useQuery(sessionQuery).data;
  return session != null && session.machine_ids === undefined;
}
