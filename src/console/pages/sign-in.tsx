/** Signs in with an API key, or by name at the OpenID Connect provider of the server. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useLocation, useSearch } from 'wouter';
import type { SignInProblem } from '../../api/console.ts';
import { RefusedError } from '../../client/http/errors.ts';
import { sessionQuery, signIn, signInWaysQuery } from '../data/session.ts';
import { Field } from '../parts/field.tsx';
import { ErrorNotice, Notice } from '../parts/notice.tsx';

const PROBLEMS: Readonly<Record<SignInProblem, { title: string; detail: string }>> = {
  no_access: {
    title: 'You may not use this server',
    detail: 'The provider knows you, but none of your groups has access. Ask whoever runs the server.',
  },
  provider_failed: {
    title: 'Signing in did not work',
    detail: 'The provider refused, or could not be reached. Try again. The server log contains the reason.',
  },
  took_too_long: {
    title: 'Signing in took too long',
    detail: 'Complete it within 15 minutes, in the same browser. Try again.',
  },
};

export function SignInPage() {
  const [key, setKey] = useState('');
  const queryClient = useQueryClient();
  const signing = useMutation({
    mutationFn: signIn,
    onSuccess: (session) => queryClient.setQueryData(sessionQuery.queryKey, session),
  });
  const wrong = signing.error instanceof RefusedError && signing.error.status === 401;
  return (
    <main className="sign-in">
      <form
        className="panel stack"
        onSubmit={(event) => {
          event.preventDefault();
          signing.mutate(key.trim());
        }}
      >
        <div className="row">
          <img src="/console/icon.svg" alt="" width="32" height="32" />
          <h1>Sign in to Execplane</h1>
        </div>
        <SignInByName />
        <Field
          label="API key"
          hint={
            <>
              The admin key of a new server is in <code>admin.key</code> in its data directory.
            </>
          }
          wrong={wrong ? 'The server does not know this key: it may be mistyped, expired or revoked.' : undefined}
        >
          {(id, describedBy) => (
            <input
              id={id}
              aria-describedby={describedBy}
              aria-invalid={wrong}
              type="password"
              autoComplete="current-password"
              // biome-ignore lint/a11y/noAutofocus: there is nothing else on this page
              autoFocus
              value={key}
              onChange={(event) => setKey(event.target.value)}
            />
          )}
        </Field>
        {signing.error !== null && !wrong && <ErrorNotice error={signing.error} />}
        <button type="submit" className="button primary" disabled={key.trim() === '' || signing.isPending}>
          {signing.isPending ? 'Signing in …' : 'Sign in'}
        </button>
        <p className="small soft">The browser keeps a session, not the key. It ends when the key is revoked.</p>
      </form>
    </main>
  );
}

/** Shown only if the server has a provider. */
function SignInByName() {
  const ways = useQuery(signInWaysQuery);
  const [path] = useLocation();
  const search = useSearch();
  const problem = new URLSearchParams(search).get('problem');
  const provider = ways.data?.open_id_connect?.provider;
  if (provider === undefined) return null;
  const returnTo = path === '/sign-in' ? '/' : `${path}${search === '' ? '' : `?${search}`}`;
  return (
    <>
      {isProblem(problem) && (
        <Notice tone="bad" title={PROBLEMS[problem].title}>
          <p>{PROBLEMS[problem].detail}</p>
        </Notice>
      )}
      <a className="button primary" href={`/console/open-id-connect/start?return_to=${encodeURIComponent(returnTo)}`}>
        Sign in with {provider}
      </a>
      <p className="small soft">or with an API key:</p>
    </>
  );
}

function isProblem(text: string | null): text is SignInProblem {
  return text !== null && Object.hasOwn(PROBLEMS, text);
}
