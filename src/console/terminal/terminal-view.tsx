/** A terminal on the page. xterm.js is loaded when the first one is opened. */
import { useEffect, useRef, useState } from 'react';
import type { ITheme } from '@xterm/xterm';
import { Notice } from '../parts/notice.tsx';
import { withAdoptedStyles } from './adopted-styles.ts';
import { type StreamState, TerminalStream } from './terminal-stream.ts';

const SCROLLBACK_LINES = 10_000;

export function TerminalView({ path }: { path: string }) {
  const place = useRef<HTMLDivElement>(null);
  const [stream, setStream] = useState<StreamState>({ state: 'connecting' });
  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    let stop: (() => void) | undefined;
    let gone = false;
    void openTerminal(element, path, setStream).then((dispose) => {
      if (gone) dispose();
      else stop = dispose;
    });
    return () => {
      gone = true;
      stop?.();
    };
  }, [path]);
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
      return <Notice tone="warn" title="The connection is lost and will be restored. The shell keeps running." />;
    case 'ended':
      return <Notice tone="busy" title={`The shell has ended: ${stream.reason}`} />;
    case 'failed':
      return <Notice tone="bad" title={`The terminal cannot be reached: ${String(stream.error)}`} />;
    default:
      return null;
  }
}

async function openTerminal(element: HTMLElement, path: string, onState: (state: StreamState) => void) {
  const [{ Terminal }, { FitAddon }] = await Promise.all([import('@xterm/xterm'), import('@xterm/addon-fit')]);
  const terminal = new Terminal({
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
  const stream = new TerminalStream(path, {
    onStart: () => terminal.reset(),
    onOutput: (bytes) => terminal.write(bytes),
    onState,
  });
  terminal.onData((text) => stream.send(text));
  terminal.onResize(({ cols, rows }) => stream.resize(cols, rows));
  const observer = new ResizeObserver(() => fit.fit());
  observer.observe(element);
  terminal.focus();
  return () => {
    observer.disconnect();
    stream.close();
    terminal.dispose();
    dropStyles();
  };
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
