import { setTimeout as delay } from 'node:timers/promises';
import { asOwnerOf } from '../../node/files/directory-owner.ts';
import { stateDirectory } from '../processes/state-directory.ts';
import { findLink } from '../processes/link-pid-file.ts';

const POLL_INTERVAL_MS = 50;
/** Time for which a link has to stay connected, ms: one that fails at its first frame does not count as connected. */
const STEADY_MS = 3_000;

export interface ExpectedLink {
  /** State directory of the agent. */
  dir: string;
  version: string;
  /** The link to ignore. */
  notPid?: number;
  withinMs: number;
}

/** Waits until the link of this version is steadily connected to the server. Returns undefined then, otherwise the reason of the failure. */
export async function linkTrouble({ dir, version, notPid, withinMs }: ExpectedLink): Promise<string | undefined> {
  const until = performance.now() + withinMs;
  let steady = { pid: 0, since: 0 };
  for (;;) {
    const found = asOwnerOf(stateDirectory(dir), () => findLink(dir));
    const link = found?.pid === notPid ? undefined : found;
    if (link?.linked !== true) steady = { pid: 0, since: 0 };
    else if (link.version !== version) return `version ${link.version} came up instead`;
    else if (steady.pid !== link.pid) steady = { pid: link.pid, since: performance.now() };
    else if (performance.now() - steady.since >= STEADY_MS) return undefined;
    if (performance.now() > until) {
      const problem = link === undefined ? 'does not come up' : 'is up and does not get a connection to the server';
      return `version ${version} ${problem} within ${Math.round(withinMs / 1000)} s`;
    }
    await delay(POLL_INTERVAL_MS);
  }
}
