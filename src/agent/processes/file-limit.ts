/** The limit of open files that the agent was started with. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { processProgram, processRow } from '../../node/process-table.ts';

/** Of /proc/PID/limits: the soft one and the hard one. */
const OPEN_FILES = /^Max open files +(\d+) +(\d+) /m;

interface FileLimit {
  soft: number;
  hard: number;
}

/**
 * The soft limit of open files of whoever started this process. Node raises its own to the hard one, so the first ancestor
 * that is not Node is asked. It is no answer if its hard limit is another than ours, since then somebody has set ours; or if
 * its soft limit is not the lower one. Undefined if there is no answer: the limit of this process is the best that is known.
 */
export function inheritedFileLimit(): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const own = fileLimit(process.pid);
  const ancestor = firstAncestorBesidesNode(process.ppid);
  const theirs = ancestor === undefined ? undefined : fileLimit(ancestor);
  if (own === undefined || theirs === undefined) return undefined;
  return theirs.hard === own.hard && theirs.soft < own.soft ? theirs.soft : undefined;
}

/** The nearest of `pid` and its ancestors that does not run Node, as `execplane up` and npm do. */
function firstAncestorBesidesNode(pid: number): number | undefined {
  let at: number | undefined = pid;
  while (at && basename(processProgram(at) ?? '') === 'node') at = processRow(at)?.parent;
  return at;
}

function fileLimit(pid: number): FileLimit | undefined {
  try {
    const [, soft, hard] = OPEN_FILES.exec(readFileSync(`/proc/${pid}/limits`, 'utf8')) ?? [];
    return soft === undefined || hard === undefined ? undefined : { soft: Number(soft), hard: Number(hard) };
  } catch {
    return undefined;
  }
}
