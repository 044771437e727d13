/** Sign in with an API key. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { RefusedError } from '../../client/http/errors.ts';
import { sessionQuery, signIn } from '../data/session.ts';
import { Field } from '../parts/field.tsx';
import { ErrorNotice } from '../parts/notice.tsx';

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
