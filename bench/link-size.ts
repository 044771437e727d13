/** (g) Measures starts per second with a link that is 300 MB larger: the size of the process that holds output must not slow down spawns. */
import { fileURLToPath } from 'node:url';
import { Deployment } from '../test/helpers/harness.ts';
import { COMMAND } from './floors/spawn.ts';
import { type Requests, requestsTo } from './requests.ts';
import { measure, perSecond, print, TINY } from './rounds.ts';

const WIDTH = 32;
const SLICE_MS = TINY ? 200 : 2000;
const BALLAST = fileURLToPath(new URL('./floors/ballast.ts', import.meta.url));

const deployment = await Deployment.start({ machine: 'dm-usual' });
const api: Requests = requestsTo(deployment.server.url, deployment.server.key, WIDTH);

try {
  // Only the link gets it, because the runner has its own environment.
  await deployment.join('dm-large', { NODE_OPTIONS: `--import ${BALLAST}` });
  const figures = await measure([
    { name: 'link as it is', unit: '/s', run: () => rate('dm-usual') },
    { name: 'link with 300 MB more', unit: '/s', floor: 'link as it is', run: () => rate('dm-large') },
  ]);
  print('link-size', `executions of ${COMMAND}, ${WIDTH} at a time, by the size of the link`, figures);
} finally {
  await api.close();
  await deployment.dispose();
}

function rate(machineId: string): Promise<number> {
  const path = `/v1/machines/${machineId}/executions?wait_ms=55000`;
  return perSecond(WIDTH, SLICE_MS, async () => {
    const { json } = await api.post(path, { command: [COMMAND] });
    if (json['status'] !== 'succeeded') throw new Error(JSON.stringify(json));
  });
}
