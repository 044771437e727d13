/** A terminal on the page, with the stream of the client library. xterm.js is loaded when the first one is opened. */
import { useEffect, useRef, useState } from 'react';
import type { ITheme, Terminal } from '@xterm/xterm';
import { Notice } from '../parts/notice.tsx';
import { useThemeName } from '../shell/theme.ts';
import { withAdoptedStyles } from './adopted-styles.ts';
import { TerminalStream } from '../../client/terminals/terminal-stream.ts';
import { transport } from '../data/client.ts';

const SCROLLBACK_LINES = 10_000;

type StreamState =
  | { state: 'connecting' | 'open' | 'away' | 'input lost' }
  | { state: 'ended'; reason: string }
  | { state: 'failed'; error: unknown };

export function TerminalView({ path }: { path: string }) {
  const place = useRef<HTMLDivElement>(null);
  const opened = useRef<Terminal>(undefined);
  const [stream, setStream] = useState<StreamState>({ state: 'connecting' });
  const theme = useThemeName();
  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    let stop: (() => void) | undefined;
    let disposed = false;
    void openTerminal(element, path, setStream).then(({ terminal, dispose }) => {
      if (disposed) return dispose();
      stop = dispose;
      opened.current = terminal;
    });
    return () => {
      disposed = true;
      stop?.();
      opened.current = undefined;
    };
  }, [path]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another theme has other colours
  useEffect(() => {
    if (opened.current !== undefined && place.current !== null) opened.current.options.theme = themeOf(place.current);
  }, [theme]);
  return (
    <section className="panel terminal" aria-label="Terminal">
      <StreamNotice stream={stream} />
      <div ref={place} className="terminal-place" />
    </section>
  );
}

function StreamNotice({ stream }: { stream: StreamState }) {
  switch (stream.state) {
    case 'away':
      return <Notice tone="warn" title="Disconnected. Reconnecting … The shell keeps running." />;
    case 'input lost':
      return (
        <Notice
          tone="warn"
          title="The machine is not connected and the input buffer is full. Some input was dropped."
        />
      );
    case 'ended':
      return <Notice tone="busy" title={`The shell has ended: ${stream.reason}`} />;
    case 'failed':
      return <Notice tone="bad" title={`The terminal cannot be reached: ${String(stream.error)}`} />;
    default:
      return null;
  }
}

async function openTerminal(element: HTMLElement, path: string, onState: (state: StreamState) => void) {
  const [xterm, { FitAddon }] = await Promise.all([import('@xterm/xterm'), import('@xterm/addon-fit')]);
  const terminal = new xterm.Terminal({
    scrollback: SCROLLBACK_LINES,
    fontFamily: getComputedStyle(element).fontFamily,
    fontSize: 13,
    screenReaderMode: true,
    drawBoldTextInBrightColors: false,
    minimumContrastRatio: 4.5,
    theme: themeOf(element),
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  const dropStyles = withAdoptedStyles(document, () => terminal.open(element));
  fit.fit();
  const stream = new TerminalStream(transport, path, {
    size: { width: terminal.cols, height: terminal.rows },
    listener: {
      away: () => onState({ state: 'away' }),
      back: () => onState({ state: 'open' }),
      inputLost: () => onState({ state: 'input lost' }),
    },
  });
  void show(stream, terminal, onState);
  terminal.onData((text) => stream.write(text));
  terminal.onResize(({ cols, rows }) => stream.resize({ width: cols, height: rows }));
  const observer = new ResizeObserver(() => fit.fit());
  observer.observe(element);
  terminal.focus();
  const dispose = () => {
    observer.disconnect();
    stream.detach();
    terminal.dispose();
    dropStyles();
  };
  return { terminal, dispose };
}

/** Draws the output as fast as the terminal takes it; the rest waits with the server. */
async function show(stream: TerminalStream, terminal: Terminal, onState: (state: StreamState) => void): Promise<void> {
  try {
    for await (const bytes of stream) await new Promise<void>((drawn) => terminal.write(bytes, drawn));
    const { reason } = await stream.end;
    if (reason !== 'detached') onState({ state: 'ended', reason });
  } catch (error) {
    onState({ state: 'failed', error });
  }
}

/** The colours of the page. */
function themeOf(element: HTMLElement): ITheme {
  const styles = getComputedStyle(element);
  const colour = (name: string): string => styles.getPropertyValue(name).trim();
  return {
    background: colour('--surface'),
    foreground: colour('--text'),
    cursor: colour('--text'),
    selectionBackground: colour('--chosen'),
    black: colour('--ansi-black'),
    red: colour('--ansi-red'),
    green: colour('--ansi-green'),
    yellow: colour('--ansi-yellow'),
    blue: colour('--ansi-blue'),
    magenta: colour('--ansi-magenta'),
    cyan: colour('--ansi-cyan'),
    white: colour('--ansi-white'),
  };
}
