import { resolve } from 'node:path';
import type { Start } from '../../../core/protocol.ts';
import type { ArtifactOwner } from '../artifacts/artifacts.ts';
import type { Policy } from '../policy/policy.ts';
import type { SpawnRequest } from '../spawner/spawner.ts';
import { findExecutable } from './executable.ts';
import type { HostUser } from './host-user.ts';
import { type Ending, failure } from './outcome.ts';
import { findGroups, findUser, type User } from './passwd.ts';

/** What is read past the cap, to see whether the cap splits a character. */
const CHARACTER_REST_BYTES = 3;
/** More than any command prints, and exact with a little added. */
const UNLIMITED_BYTES = 2 ** 52;

export interface Launch {
  request: Omit<SpawnRequest, 'handle'>;
  user: string;
  /** Whose files are collected at the end. */
  owner: ArtifactOwner;
  /** Bytes of each stream to report; what comes after them is counted. */
  capBytes: number;
  /** The command waits in its writes while a stream is beyond this offset. */
  waitBeyond?: number;
  /** ms from process start; absent: no limit. */
  timeoutMs?: number;
}

export type Prepared = { ok: true; launch: Launch } | { ok: false; ending: Ending };

/** Turns a start into what the spawner needs: whose process, which environment, where; or the end that it has at once. */
export function prepareLaunch(start: Start, host: HostUser, policy: Policy): Prepared {
  const user = chooseUser(start.user, host);
  if ('status' in user) return { ok: false, ending: user };
  const env = launchEnv(start, user, host);
  const cwd = resolve(user.home, start.cwd ?? '.');
  const verdict = policy.check({
    argv: start.command,
    executable: () => findExecutable(start.command[0] ?? '', env['PATH'] ?? '', cwd),
    cwd,
    user: user.name,
    envNames: Object.keys(start.env ?? {}),
  });
  if (!verdict.allowed)
    return { ok: false, ending: failure('policy_denied', `The machine's policy refuses it: ${verdict.rule}.`) };
  const timeoutMs = Math.min(start.timeout_ms ?? Infinity, verdict.maxTimeoutMs ?? Infinity);
  const waits = start.past_limit === 'wait';
  const capBytes = Math.min(waits ? UNLIMITED_BYTES : start.max_output_bytes, verdict.maxOutputBytes ?? Infinity);
  const request: Launch['request'] = {
    executionId: start.execution_id,
    argv: start.command,
    env,
    cwd,
    stdin: start.stdin === 'none' ? 'none' : 'pipe',
    keepBytes: capBytes + CHARACTER_REST_BYTES,
    ...(user.uid !== host.uid && { identity: { uid: user.uid, gid: user.gid, groups: findGroups(user) } }),
  };
  const launch: Launch = {
    request,
    user: user.name,
    owner: { uid: user.uid, gid: user.gid, isAgent: user.uid === host.uid },
    capBytes,
    ...(waits && { waitBeyond: start.max_output_bytes }),
    ...(timeoutMs !== Infinity && { timeoutMs }),
  };
  return { ok: true, launch };
}

function chooseUser(wanted: string | undefined, host: HostUser): User | Ending {
  if (wanted === undefined || wanted === host.name) return host;
  const user = findUser(wanted);
  if (user === undefined) return failure('user_not_found', `There is no user ${wanted} on the machine.`);
  if (host.uid === 0 || user.uid === host.uid) return user;
  const message = `The agent runs as ${host.name}, not as root, so it can't run commands as ${wanted}.`;
  return failure('permission_denied', message, 126);
}

/** A clean base, then what the caller set, then what the caller can't set. */
function launchEnv(start: Start, user: User, host: HostUser): Record<string, string> {
  return {
    ...host.env,
    HOME: user.home,
    USER: user.name,
    LOGNAME: user.name,
    SHELL: user.shell,
    ...start.env,
    EXECUTION_ID: start.execution_id,
  };
}
