/**
 * (h) Measures other systems in the same rounds: ssh2 with one connection, BullMQ with a worker (`npm ci --prefix bench/peers` installs them),
 * and Debian's webhook.
 */
import { Deployment } from '../test/helpers/harness.ts';
import { COMMAND, spawned } from './floors/spawn.ts';
import { bullmqPeer } from './peers/bullmq.ts';
import type { Peer } from './peers/peer.ts';
import { sshPeer } from './peers/ssh.ts';
import { webhookPeer } from './peers/webhook.ts';
import { requestsTo } from './requests.ts';
import { type Contender, measure, perSecond, print, TINY } from './rounds.ts';

const WIDTHS = [1, 8, 32];
const SLICE_MS = TINY ? 200 : 2000;

const deployment = await Deployment.start();
const peers: Peer[] = [];
try {
  peers.push(execplane());
  const widest = Math.max(...WIDTHS);
  for (const start of [sshPeer, () => bullmqPeer(widest), () => webhookPeer(widest)])
    await start().then(add, notInstalled);
  const contenders = WIDTHS.flatMap((width) => against(width));
  print('peers', `${COMMAND} run elsewhere and waited for`, await measure(contenders));
} finally {
  for (const peer of peers) await peer.close();
  await deployment.dispose();
}

function execplane(): Peer {
  const api = requestsTo(deployment.server.url, deployment.server.key, Math.max(...WIDTHS));
  return {
    name: 'Execplane',
    run: async (command) => {
      const { json } = await api.post(`${deployment.machine.path}?wait_ms=55000`, { command });
      if (json['status'] !== 'succeeded') throw new Error(JSON.stringify(json));
      return Number(json['stdout_bytes']);
    },
    close: () => api.close(),
  };
}

function against(width: number): Contender[] {
  const floor = `bare spawn, ${width} at a time`;
  return [
    { name: floor, unit: '/s', run: () => perSecond(width, SLICE_MS, spawned) },
    ...peers.map(({ name, run }) => ({
      name: `${name}, ${width} at a time`,
      unit: '/s',
      floor,
      run: () => perSecond(width, SLICE_MS, async () => void (await run([COMMAND]))),
    })),
  ];
}

function add(peer: Peer): void {
  peers.push(peer);
}

/** Prints that a peer is missing, so that the table does not look complete. Throws any error but a missing package or program. */
function notInstalled(error: NodeJS.ErrnoException): void {
  if (error.code !== 'MODULE_NOT_FOUND' && error.code !== 'ENOENT') throw error;
  process.stdout.write(`\npeers: NOT MEASURED, because it is not installed: ${error.message.split('\n')[0]}\n`);
}
