/** The console: the sign-in page, or the page for the path. */
import { useQuery } from '@tanstack/react-query';
import { useEffect, useMemo, useState } from 'react';
import { Route, Switch, useLocation } from 'wouter';
import { sessionQuery } from './data/session.ts';
import { Loading } from './parts/empty.tsx';
import { ErrorNotice } from './parts/notice.tsx';
import { ROUTES } from './routes.tsx';
import { Help } from './shell/help.tsx';
import { Layout } from './shell/layout.tsx';
import { Palette } from './shell/palette.tsx';
import { usePlaces } from './shell/places.ts';
import { useShortcuts } from './shell/shortcuts.ts';
import { SignInPage } from './pages/sign-in.tsx';

export function App() {
  const session = useQuery(sessionQuery);
  if (session.data === null) return <SignInPage />;
  if (session.data !== undefined) return <SignedIn />;
  if (session.error === null) return <Loading />;
  return (
    <div className="sign-in">
      <ErrorNotice error={session.error} onRetry={() => void session.refetch()} />
    </div>
  );
}

function SignedIn() {
  const [overlay, setOverlay] = useState<'palette' | 'help'>();
  const [location, navigate] = useLocation();
  const places = usePlaces();
  const [first] = places;
  const keys = useMemo(
    () => ({
      '?': () => setOverlay('help'),
      ...Object.fromEntries(places.map(({ key, path }) => [`g ${key}`, () => navigate(path)])),
    }),
    [places, navigate],
  );
  useShortcuts(keys);
  usePaletteKey(() => setOverlay('palette'));
  // A key without access to the overview starts at the first page that it has access to.
  useEffect(() => {
    if (location === '/sign-in') navigate('/', { replace: true });
    if (location === '/' && first !== undefined && first.path !== '/') navigate(first.path, { replace: true });
  }, [location, first, navigate]);
  return (
    <Layout onPalette={() => setOverlay('palette')} onHelp={() => setOverlay('help')}>
      <Switch>
        {ROUTES}
        <Route>
          <h1>There is no such page</h1>
          <p>The address may be incomplete, or belong to another version of the console.</p>
        </Route>
      </Switch>
      {overlay === 'palette' && <Palette onClose={() => setOverlay(undefined)} />}
      {overlay === 'help' && <Help onClose={() => setOverlay(undefined)} />}
    </Layout>
  );
}

/** Ctrl K or Cmd K, also while the user types. */
function usePaletteKey(onOpen: () => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== 'k' || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      onOpen();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  });
}
