/** The file DIR/link.pid: the link process of a directory, and whether it is connected. A pid counts only with its start time. */
import { rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readPrivateJson, writePrivateJson } from '../../node/private-file.ts';
import { processOwner, processProgram, processRow } from '../../node/process-table.ts';
import { packageVersion } from '../../node/version.ts';
import { isLinkPid } from '../schemas/checks.ts';
import type { LinkPid } from '../schemas/files.ts';

const pidFile = (dir: string) => join(dir, 'link.pid');

/** A link process that runs. */
export interface LinkProcess {
  pid: number;
  version: string;
  /** Whether the server has sent welcome, and the connection has not ended since. */
  linked: boolean;
}

export interface PidFile {
  /** Never throws: a full disk does not stop a link. */
  setLinked(linked: boolean): void;
  release(): void;
}

/** Records this process as the link of `dir`, not connected yet. */
export function claimPidFile(dir: string): PidFile {
  const self = { pid: process.pid, start_time: startTimeOf(process.pid) ?? '', version: packageVersion() };
  let written = false;
  const write = (linked: boolean) => writePrivateJson(pidFile(dir), { ...self, linked } satisfies LinkPid);
  write(written);
  return {
    setLinked(linked) {
      if (linked === written) return;
      try {
        write(linked);
        written = linked;
      } catch {
        // Readers get the earlier state until the next write.
      }
    },
    release() {
      if (findLink(dir)?.pid === process.pid) rmSync(pidFile(dir), { force: true });
    },
  };
}

/** Returns the link that runs on `dir`; undefined if none does. */
export function findLink(dir: string): LinkProcess | undefined {
  let found: LinkPid | undefined;
  try {
    found = readPrivateJson(pidFile(dir), isLinkPid);
  } catch {
    return undefined;
  }
  if (found === undefined || startTimeOf(found.pid) !== found.start_time) return undefined;
  if (!isOfOwner(found.pid, dir) || !runsNode(found.pid)) return undefined;
  return { pid: found.pid, version: found.version, linked: found.linked };
}

/** A pid in a file of the agent's user must not lead to a process of another user. */
function isOfOwner(pid: number, dir: string): boolean {
  const owner = processOwner(pid);
  return owner === undefined || owner === statSync(dir).uid;
}

/** Whether a process runs Node. The program of a replaced package is shown as `(deleted)`. */
function runsNode(pid: number): boolean {
  const program = processProgram(pid);
  return program === undefined || basename(program.replace(/ \(deleted\)$/, '')) === basename(process.execPath);
}

/** Returns the start time of a process that has not ended. */
function startTimeOf(pid: number): string | undefined {
  const row = processRow(pid);
  return row?.ended === false ? row.startTime : undefined;
}
