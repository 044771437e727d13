/** Who is signed in, and what they may do. */
import { queryOptions, useQuery, useQueryClient } from '@tanstack/react-query';
import type { ConsoleSession } from '../../api/console.ts';
import type { Scope } from '../../api/fields.ts';
import { RefusedError } from '../../client/http/errors.ts';
import { transport } from './client.ts';

const PATH = '/console/session';
/** A session is renewed by asking for it. */
const RENEW_EVERY_MS = 5 * 60_000;

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: async ({ signal }): Promise<ConsoleSession | null> => {
    try {
      return await transport.json<ConsoleSession>('GET', PATH, { signal });
    } catch (error) {
      if (error instanceof RefusedError && error.status === 401) return null;
      throw error;
    }
  },
  refetchInterval: RENEW_EVERY_MS,
  staleTime: RENEW_EVERY_MS,
});

/** Exchanges an API key for a session; the key itself is kept nowhere. */
export function signIn(key: string): Promise<ConsoleSession> {
  return transport.json('POST', PATH, { body: { key }, attempts: 1 });
}

export function useSignOut(): () => Promise<void> {
  const queryClient = useQueryClient();
  return async () => {
    await transport.open('DELETE', PATH, { attempts: 1 });
    queryClient.setQueryData(sessionQuery.queryKey, null);
    queryClient.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== sessionQuery.queryKey[0] });
  };
}

/** Whether the key behind the session has a scope: what it may not do is not shown. */
export function useMay(scope: Scope): boolean {
  return useQuery(sessionQuery).data?.scopes.includes(scope) ?? false;
}

/** Whether the key reaches every machine: one that is limited to some has no say in keys and tokens. */
export function useReachesAll(): boolean {
  const session = useQuery(sessionQuery).data;
  return session != null && session.machine_ids === undefined;
}
