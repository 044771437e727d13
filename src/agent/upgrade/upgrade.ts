/** `execplane agent upgrade`: replaces the link by another version under running commands, or puts the old one back. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { asOwnerOf } from '../../node/files/directory-owner.ts';
import { stateDirectory } from '../processes/state-directory.ts';
import { findLink, type LinkProcess } from '../processes/link-pid-file.ts';
import { ConfigError } from '../../node/config-error.ts';
import { packageVersion } from '../../node/version.ts';
import { linkTrouble } from './await-link.ts';
import type { Change } from './change.ts';
import { changePackages, isPackaged } from './debian-packages.ts';
import { changeLinkedProgram } from './linked-program.ts';

export interface UpgradeOptions {
  /** State directory of the agent. */
  dir: string;
  /** The new version: a folder with Debian packages, a tarball, or a folder with the program. */
  to: string;
  /** Time within which the new link has to be connected to the server, ms. */
  withinMs: number;
  /** Receives progress messages, one sentence each. */
  say: (text: string) => void;
}

/** The program that this process runs, in the source and in the build. */
const ROOT = resolve(fileURLToPath(new URL('../../..', import.meta.url)));

/** Minimum time for the old version to connect again, ms, even if `withinMs` is shorter. */
const WAY_BACK_MS = 60_000;

/** Replaces the link, and settles when the new one is connected. If it is not in time, puts the old one back and rejects. */
export async function upgradeAgent({ dir, to, withinMs, say }: UpgradeOptions): Promise<void> {
  const before = presentLink(dir);
  const found = statSync(to, { throwIfNoEntry: false });
  if (found === undefined) throw new ConfigError(`--to: ${to} does not exist`);
  if (!found.isDirectory() && !found.isFile()) throw new ConfigError(`--to: ${to} is neither a folder nor a file`);
  const request = { dir, to, before };
  const change = (await isPackaged(ROOT)) ? await changePackages(to) : await changeLinkedProgram(ROOT, request);
  let kept = false;
  try {
    say(`Version ${before.version} is connected; version ${change.version} takes its place.`);
    const expected = { dir, version: change.version, notPid: before.pid, withinMs };
    const trouble = await applied(change).then((failure) => failure ?? linkTrouble(expected));
    if (trouble !== undefined) {
      say(`${capitalised(trouble)}: version ${before.version} takes its place again.`);
      return await goBack(change, { dir, version: before.version, withinMs, trouble });
    }
    kept = true;
    say(`Version ${change.version} is connected. Commands have run on.`);
  } finally {
    change.dispose(kept);
  }
}

/** Returns the connected link. Throws without one, because then the upgrade could not be verified. */
function presentLink(dir: string): LinkProcess {
  const link = asOwnerOf(stateDirectory(dir), () => findLink(dir));
  if (link === undefined) {
    throw new Error(
      `no agent runs on ${dir}: name its directory with --agent-dir (the package uses /var/lib/execplane-agent/state).`,
    );
  }
  if (!link.linked) {
    throw new Error(
      `the agent of ${dir} is not connected to its server, so the upgrade could not be checked: "execplane doctor agent" says why.`,
    );
  }
  if (link.version !== packageVersion()) {
    throw new Error(
      `the agent of ${dir} has version ${link.version} and this program ${packageVersion()}: run the program that the agent was started from.`,
    );
  }
  return link;
}

async function applied(change: Change): Promise<string | undefined> {
  try {
    await change.apply();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

interface WayBack {
  dir: string;
  version: string;
  withinMs: number;
  /** The reason why the old version is put back. */
  trouble: string;
}

async function goBack(change: Change, { dir, version, withinMs, trouble }: WayBack): Promise<never> {
  await change.revert();
  const still = await linkTrouble({ dir, version, withinMs: Math.max(withinMs, WAY_BACK_MS) });
  if (still !== undefined) throw new Error(`${trouble}; put back, ${still}: read the log of the agent.`);
  throw new Error(`not upgraded: ${trouble}. Version ${version} is back and connected; commands have run on.`);
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
