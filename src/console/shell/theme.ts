/** The theme: light, dark, or that of the system. Read by public/theme.js before the first paint. */
import { useEffect, useState } from 'react';

export type Theme = 'system' | 'light' | 'dark';
const KEY = 'execplane-theme';

/** Returns the chosen theme and a function that changes and stores it. */
export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState(readTheme);
  const choose = (next: Theme) => {
    if (next === 'system') {
      localStorage.removeItem(KEY);
      delete document.documentElement.dataset['theme'];
    } else {
      localStorage.setItem(KEY, next);
      document.documentElement.dataset['theme'] = next;
    }
    setTheme(next);
  };
  return [theme, choose];
}

function readTheme(): Theme {
  const kept = localStorage.getItem(KEY);
  return kept === 'light' || kept === 'dark' ? kept : 'system';
}

/** Returns a text that changes with the colours: with the theme of the system, or the chosen one. */
export function useThemeName(): string {
  const [name, setName] = useState(themeName);
  useEffect(() => {
    const look = () => setName(themeName());
    const system = matchMedia('(prefers-color-scheme: dark)');
    const chosen = new MutationObserver(look);
    system.addEventListener('change', look);
    chosen.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    return () => {
      system.removeEventListener('change', look);
      chosen.disconnect();
    };
  }, []);
  return name;
}

function themeName(): string {
  return document.documentElement.dataset['theme'] ?? String(matchMedia('(prefers-color-scheme: dark)').matches);
}
