/** Starts the console in the browser. */
import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { createRoot } from 'react-dom/client';
import { RefusedError } from '../client/http/errors.ts';
import { App } from './app.tsx';
import { sessionQuery } from './data/session.ts';

const queryClient = new QueryClient({
  queryCache: new QueryCache({
    // The key was revoked, or the session has ended: return to the sign-in page.
    onError: (error) => {
      if (error instanceof RefusedError && error.status === 401) {
        queryClient.setQueryData(sessionQuery.queryKey, null);
      }
    },
  }),
  // The client itself retries if that can help.
  defaultOptions: { queries: { retry: false }, mutations: { retry: false } },
});

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');
createRoot(root).render(
  <QueryClientProvider client={queryClient}>
    <App />
  </QueryClientProvider>,
);
