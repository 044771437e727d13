/** Determines the limit of open files with which the agent was started. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { processProgram, processRow } from '../../node/process-table.ts';

/** The soft and the hard limit in /proc/PID/limits. */
const OPEN_FILES = /^Max open files +(\d+) +(\d+) /m;

interface FileLimit {
  soft: number;
  hard: number;
}

/**
 * Returns the soft limit of open files of the process that started this one. Node raises its own soft limit to the hard one, so the limit is
 * read from the first ancestor that is not Node. Undefined if the ancestor's hard limit differs (the limits of this process were set), or its
 * soft limit is not lower: then this process's limit is used.
 */
export function inheritedFileLimit(): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const own = fileLimit(process.pid);
  const ancestor = firstAncestorBesidesNode(process.ppid);
  const ancestorLimit = ancestor === undefined ? undefined : fileLimit(ancestor);
  if (own === undefined || ancestorLimit === undefined) return undefined;
  return ancestorLimit.hard === own.hard && ancestorLimit.soft < own.soft ? ancestorLimit.soft : undefined;
}

/** Returns `pid` or its nearest ancestor that does not run Node; `execplane up` and npm do. */
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
