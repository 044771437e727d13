/**
 * Measures terminals: the time from a key to its echo, 100 MB to a client, and Ctrl-C during a flood of output; in turn with a bare terminal
 * (script(1)) and ssh. The program on the terminal echoes the keys itself, as shells do.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { Deployment } from '../test/helpers/harness.ts';
import { startOpenSsh } from './peers/openssh.ts';
import { measure, percentile, print, say, TINY } from './rounds.ts';

const KEYS = TINY ? 20 : 1000;
const FLOOD_BYTES = TINY ? 1_000_000 : 100_000_000;
const INTERRUPTS = TINY ? 1 : 10;
const SIZE = { width: 80, height: 24 };
// The quotes keep the words from being found in the typed command line that a terminal shows.
const ECHO = 'stty raw -echo; echo rea""dy; exec cat';
/** Waits for a key, then prints. */
const FLOOD = `stty raw -echo; echo rea""dy; head -c 1 > /dev/null; head -c ${FLOOD_BYTES} /dev/zero | tr '\\0' x; printf ov""er; exec cat`;
const ENDLESS = `stty -echo; trap 'echo stop""ped; exit' INT; echo rea""dy; while :; do head -c 1000000 /dev/zero | tr '\\0' x; done`;

/** A terminal, local or remote. */
interface Terminal {
  type: (text: string) => void;
  /** Settles when the last bytes contain `text`, with the number of all bytes so far. */
  shows: (text: string) => Promise<number>;
  close: () => Promise<void>;
}

/** Collects the output of a terminal, in pieces of any size, until it was searched. */
function screen() {
  let unseen = '';
  let total = 0;
  let wake: () => void = () => {};
  return {
    show(bytes: Buffer): void {
      total += bytes.length;
      unseen += bytes.toString('latin1');
      wake();
    },
    async shows(text: string): Promise<number> {
      for (let at = unseen.indexOf(text); at < 0; at = unseen.indexOf(text)) {
        // A text may begin in one piece and end in the next.
        unseen = unseen.slice(-text.length);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      unseen = '';
      return total;
    },
  };
}

function onChild(child: ChildProcess): Terminal {
  const { show, shows } = screen();
  child.stdout?.on('data', show);
  child.stdin?.on('error', () => {});
  const type = (text: string): void => void child.stdin?.write(text);
  const close = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  return { type, shows, close };
}

const deployment = await Deployment.start({
  server: { EXECPLANE_LOG_LEVEL: 'warn' },
  agent: { EXECPLANE_LOG_LEVEL: 'warn' },
});
const terminals = `/v1/machines/${deployment.agent.machineId}/terminals`;
const ssh = await startOpenSsh().catch((error: NodeJS.ErrnoException) => {
  if (error.code !== 'ENOENT') throw error;
  process.stdout.write('  ssh: not measured, openssh-server is not installed\n');
  return undefined;
});

async function execplane(script: string): Promise<Terminal> {
  const body = { ...SIZE, shell: '/bin/sh' };
  let terminal = await deployment.client.ask<{ terminal_id: string; status: string }>('POST', terminals, { body });
  const path = `${terminals}/${terminal.terminal_id}`;
  while (terminal.status !== 'ready') terminal = await deployment.client.ask('GET', path);
  const url = `${deployment.server.url.replace('http', 'ws')}${path}/stream?frames=binary`;
  const ws = new WebSocket(url, {
    headers: { authorization: `Bearer ${deployment.server.key}` },
    perMessageDeflate: false,
  });
  const { show, shows } = screen();
  ws.on('message', (data: Buffer, isBinary: boolean) => (isBinary ? show(data) : undefined));
  await once(ws, 'open');
  ws.send(Buffer.from(`exec /bin/sh -c '${script.replaceAll("'", "'\\''")}'\n`));
  const close = async (): Promise<void> => {
    ws.terminate();
    await deployment.client.ask('DELETE', path);
  };
  return { type: (text) => ws.send(Buffer.from(text)), shows, close };
}

const bare = async (script: string): Promise<Terminal> =>
  onChild(spawn('script', ['-qfec', `/bin/sh -c '${script.replaceAll("'", "'\\''")}'`, '/dev/null']));
const bySsh =
  ssh === undefined
    ? undefined
    : async (script: string): Promise<Terminal> =>
        onChild(spawn('ssh', ['-tt', ...ssh.options, ssh.login, script], { stdio: ['pipe', 'pipe', 'inherit'] }));
const contenders = new Map<string, (script: string) => Promise<Terminal>>([
  ['bare terminal', bare],
  ...(bySsh === undefined ? [] : [['ssh', bySsh] as const]),
  ['Execplane', execplane],
]);

try {
  await keys();
  await floods();
  await interrupts();
} finally {
  await ssh?.close();
  await deployment.dispose();
}

async function open(script: string): Promise<[string, Terminal][]> {
  const opened: [string, Terminal][] = [];
  for (const [name, start] of contenders) {
    const terminal = await start(script);
    await terminal.shows('ready');
    opened.push([name, terminal]);
  }
  return opened;
}

async function keys(): Promise<void> {
  const opened = await open(ECHO);
  const times = new Map<string, number[]>(opened.map(([name]) => [name, []]));
  for (let at = 0; at < KEYS; at += 1) {
    for (const [name, terminal] of opened) {
      const from = performance.now();
      terminal.type('k');
      await terminal.shows('k');
      times.get(name)?.push(performance.now() - from);
    }
  }
  process.stdout.write('\nfrom a key to its echo\n');
  for (const [name, own] of times) {
    say('terminals', `key to echo, ${name}`, {
      p50_ms: percentile(own, 0.5),
      p99_ms: percentile(own, 0.99),
      keys: KEYS,
    });
  }
  for (const [, terminal] of opened) await terminal.close();
}

async function floods(): Promise<void> {
  const run = (start: (script: string) => Promise<Terminal>) => async (): Promise<number> => {
    const terminal = await start(FLOOD);
    const before = await terminal.shows('ready');
    const from = performance.now();
    terminal.type('k');
    const total = await terminal.shows('over');
    const seconds = (performance.now() - from) / 1000;
    if (total - before < FLOOD_BYTES) throw new Error(`${total - before} bytes came`);
    await terminal.close();
    return FLOOD_BYTES / 1e6 / seconds;
  };
  const floor = bySsh === undefined ? 'bare terminal' : 'ssh';
  const each = [...contenders].map(([name, start]) => ({ name, unit: 'MB/s', floor, run: run(start) }));
  print('terminals', `${FLOOD_BYTES / 1e6} MB to a client of a terminal`, await measure(each));
}

async function interrupts(): Promise<void> {
  const times = new Map<string, number[]>([...contenders.keys()].map((name) => [name, []]));
  for (let at = 0; at < INTERRUPTS; at += 1) {
    for (const [name, start] of contenders) {
      const terminal = await start(ENDLESS);
      await terminal.shows('ready');
      await terminal.shows('x'.repeat(1000));
      const from = performance.now();
      terminal.type('\u0003');
      await terminal.shows('stopped');
      times.get(name)?.push(performance.now() - from);
      await terminal.close();
    }
  }
  process.stdout.write('\nfrom Ctrl-C to the last byte of a flood\n');
  for (const [name, own] of times) {
    say('terminals', `Ctrl-C, ${name}`, {
      p50_ms: percentile(own, 0.5),
      worst_ms: Math.max(...own),
      times: INTERRUPTS,
    });
  }
}
