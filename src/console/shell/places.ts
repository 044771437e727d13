/** The pages in the navigation, and the scope that each needs. */
import { useQuery } from '@tanstack/react-query';
import type { Scope } from '../../api/fields.ts';
import { sessionQuery } from '../data/session.ts';

export interface Place {
  path: string;
  text: string;
  /** The key after `g`. */
  key: string;
  scope: Scope;
  group: 'Work' | 'Administration';
  /** An SVG path in a box of 20 by 20. */
  icon: string;
}

const PLACES: readonly Place[] = [
  {
    path: '/',
    text: 'Overview',
    key: 'o',
    scope: 'machines:read',
    group: 'Work',
    icon: 'M3 10.5 10 4l7 6.5M5 9v7h10V9',
  },
  {
    path: '/machines',
    text: 'Machines',
    key: 'm',
    scope: 'machines:read',
    group: 'Work',
    icon: 'M3 4h14v5H3zM3 11h14v5H3zM6 6.5h.01M6 13.5h.01',
  },
  {
    path: '/executions',
    text: 'Executions',
    key: 'e',
    scope: 'executions:read',
    group: 'Work',
    icon: 'M4 5h12M4 10h12M4 15h8',
  },
  {
    path: '/batches',
    text: 'Batches',
    key: 'b',
    scope: 'executions:read',
    group: 'Work',
    icon: 'M4 4h12v3H4zM4 9h12v3H4zM4 14h12v3H4z',
  },
  {
    path: '/schedules',
    text: 'Schedules',
    key: 's',
    scope: 'executions:read',
    group: 'Work',
    icon: 'M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14M10 6v4l3 2',
  },
  {
    path: '/run',
    text: 'Run a command',
    key: 'r',
    scope: 'executions:write',
    group: 'Work',
    icon: 'M4 5l5 5-5 5M11 15h5',
  },
  {
    path: '/keys',
    text: 'API keys',
    key: 'k',
    scope: 'admin',
    group: 'Administration',
    icon: 'M8.5 11.5 3 17h3v-2h2v-2M13 3.5a3.8 3.8 0 1 0 0 7.6 3.8 3.8 0 0 0 0-7.6M14 6.3h.01',
  },
  {
    path: '/tokens',
    text: 'Join tokens',
    key: 't',
    scope: 'admin',
    group: 'Administration',
    icon: 'M3 6h14v3a1.5 1.5 0 0 0 0 3v3H3v-3a1.5 1.5 0 0 0 0-3z',
  },
  {
    path: '/webhooks',
    text: 'Webhooks',
    key: 'w',
    scope: 'admin',
    group: 'Administration',
    icon: 'M4 10h9M10 6l4 4-4 4M16 4v12',
  },
  {
    path: '/audit',
    text: 'Audit',
    key: 'a',
    scope: 'admin',
    group: 'Administration',
    icon: 'M5 3h10v14H5zM8 7h4M8 10h4M8 13h2',
  },
];

/** The pages that the key of the session may open. */
export function usePlaces(): readonly Place[] {
  const scopes = useQuery(sessionQuery).data?.scopes ?? [];
  return PLACES.filter(({ scope }) => scopes.includes(scope));
}
