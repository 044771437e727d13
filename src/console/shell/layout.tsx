/** The frame of every page: navigation, session, theme, help. */
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { sessionQuery, useSignOut } from '../data/session.ts';
import { Segments } from '../parts/field.tsx';
import { type Place, usePlaces } from './places.ts';
import { type Theme, useTheme } from './theme.ts';

const GROUPS = ['Work', 'Administration'] as const;
const THEMES: readonly (readonly [Theme, string])[] = [
  ['system', 'Auto'],
  ['light', 'Light'],
  ['dark', 'Dark'],
];

export function Layout({
  children,
  onPalette,
  onHelp,
}: {
  children: ReactNode;
  onPalette: () => void;
  onHelp: () => void;
}) {
  const [open, setOpen] = useState(false);
  return (
    <div className="shell">
      <a className="button skip" href="#main">
        Skip to the page
      </a>
      <header className="topbar">
        <Brand />
        <button
          type="button"
          className="button"
          aria-expanded={open}
          aria-controls="side"
          onClick={() => setOpen(!open)}
        >
          {open ? 'Close' : 'Menu'}
        </button>
      </header>
      <aside id="side" className={open ? 'side open' : 'side'} aria-label="Sidebar">
        <Brand />
        <button type="button" className="button wide" onClick={onPalette}>
          Go to … <kbd>Ctrl K</kbd>
        </button>
        <Navigation onGone={() => setOpen(false)} />
        <SideFooter onHelp={onHelp} />
      </aside>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}

function Brand() {
  return (
    <Link href="/" className="brand">
      <img src="/console/icon.svg" alt="" width="24" height="24" />
      Execplane
    </Link>
  );
}

function Navigation({ onGone }: { onGone: () => void }) {
  const places = usePlaces();
  return (
    <nav aria-label="Pages">
      {GROUPS.map((group) => {
        const inside = places.filter((place) => place.group === group);
        if (inside.length === 0) return null;
        return (
          <section key={group} aria-label={group}>
            <h2>{group}</h2>
            <ul>
              {inside.map((place) => (
                <li key={place.path}>
                  <PlaceLink place={place} onGone={onGone} />
                </li>
              ))}
            </ul>
          </section>
        );
      })}
    </nav>
  );
}

function PlaceLink({ place, onGone }: { place: Place; onGone: () => void }) {
  const [location] = useLocation();
  const here = place.path === '/' ? location === '/' : `${location}/`.startsWith(`${place.path}/`);
  return (
    <Link href={place.path} aria-current={here ? 'page' : undefined} onClick={onGone}>
      <svg
        width="18"
        height="18"
        viewBox="0 0 20 20"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.6"
        aria-hidden="true"
      >
        <path d={place.icon} strokeLinecap="round" strokeLinejoin="round" />
      </svg>
      {place.text}
    </Link>
  );
}

function SideFooter({ onHelp }: { onHelp: () => void }) {
  const session = useQuery(sessionQuery).data;
  const [theme, setTheme] = useTheme();
  const signOut = useSignOut();
  return (
    <footer>
      <div className="row">
        <Segments label="Theme" value={theme} options={THEMES} onChange={setTheme} />
      </div>
      <div className="row">
        <span className="small ellipsis" title={session?.api_key_id}>
          {session?.user ?? session?.name ?? 'Admin key'}
        </span>
        <button type="button" className="button quiet small" onClick={() => void signOut()}>
          Sign out
        </button>
      </div>
      <div className="row small soft">
        <a href="/docs">API</a>
        <button type="button" className="button quiet small" onClick={onHelp}>
          Keys <kbd>?</kbd>
        </button>
        <span>{session?.version}</span>
      </div>
    </footer>
  );
}
