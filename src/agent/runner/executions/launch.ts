import { access } from 'node:fs/promises';
import type { Start } from '../../../core/protocol.ts';
import { MAX_CHUNK_BYTES } from '../../../core/report.ts';
import type { ArtifactOwner } from '../artifacts/artifacts.ts';
import type { Policy } from '../policy/policy.ts';
import type { SpawnRequest } from '../spawner/spawner.ts';
import type { HostUser } from './host-user.ts';
import { type Ending, failure, policyDenied } from './outcome.ts';
import { findGroups, findUser, type User } from './users.ts';

/** Bytes read past the cap, to detect whether the cap splits a character. */
const CHARACTER_REST_BYTES = 3;
/** A cap above the output of any command, which stays exact after small additions. */
const UNLIMITED_BYTES = 2 ** 52;
const DEFAULT_TERM = 'xterm-256color';
const DEFAULT_SHELLS = ['/bin/bash', '/bin/sh'];

export interface Launch {
  request: Omit<SpawnRequest, 'handle'>;
  user: string;
  /** The user whose files are collected at the end. */
  owner: ArtifactOwner;
  /** Bytes of each stream to report. Bytes after them are counted. */
  capBytes: number;
  /** Number of last bytes past the cap of each stream to report. */
  tailBytes: number;
  /** The command waits in its writes while a stream is beyond this offset. */
  waitBeyond?: number;
  /** ms from process start. Absent: no limit. */
  timeoutMs?: number;
}

export type Prepared = { ok: true; launch: Launch } | { ok: false; ending: Ending };

/**
 * Converts a start to the spawner's input (user, environment, directory), or to the end of an execution that cannot be started. Synchronous,
 * unless the user or the shell must be looked up in a directory service, which may take long.
 */
export function prepareLaunch(start: Start, host: HostUser, policy: Policy): Prepared | Promise<Prepared> {
  if (start.user === undefined && start.login_shell !== true) return request(start, host, host, policy);
  return prepareSlowly(start, host, policy);
}

async function prepareSlowly(start: Start, host: HostUser, policy: Policy): Promise<Prepared> {
  const user = await chooseUser(start.user, host);
  if ('status' in user) return { ok: false, ending: user };
  const prepared = request(start, user, host, policy);
  if (!prepared.ok) return prepared;
  const spawn = prepared.launch.request;
  if (spawn.identity !== undefined) spawn.identity = { ...spawn.identity, groups: await findGroups(user) };
  if (start.login_shell === true) Object.assign(spawn, await loginShell(start.command[0] || undefined, user));
  return prepared;
}

function request(start: Start, user: User, host: HostUser, policy: Policy): Prepared {
  const verdict = policy.check({ user: user.name, envNames: Object.keys(start.env ?? {}) });
  if (!verdict.allowed) return { ok: false, ending: policyDenied(verdict.rule) };
  const timeoutMs = Math.min(start.timeout_ms ?? Infinity, verdict.maxTimeoutMs ?? Infinity);
  const waits = start.past_limit === 'wait';
  const capBytes = Math.min(waits ? UNLIMITED_BYTES : start.max_output_bytes, verdict.maxOutputBytes ?? Infinity);
  const limits = lowest(start.limits, verdict.limits);
  const tailBytes = Math.min(start.tail_bytes ?? 0, MAX_CHUNK_BYTES);
  const spawn: Launch['request'] = {
    executionId: start.execution_id,
    argv: start.command,
    env: launchEnv(start, user, host),
    home: user.home,
    cwd: start.cwd,
    stdin: start.stdin === 'none' ? 'none' : 'pipe',
    keepBytes: capBytes + CHARACTER_REST_BYTES,
    tailBytes,
    ask: verdict.asks,
    ...(user.uid !== host.uid && { identity: { uid: user.uid, gid: user.gid, groups: [] } }),
    ...(start.tty !== undefined && { terminal: start.tty }),
    ...(limits !== undefined && { limits }),
  };
  const launch: Launch = {
    request: spawn,
    user: user.name,
    owner: { uid: user.uid, gid: user.gid, isAgent: user.uid === host.uid },
    capBytes,
    tailBytes,
    ...(waits && { waitBeyond: start.max_output_bytes }),
    ...(timeoutMs !== Infinity && { timeoutMs }),
  };
  return { ok: true, launch };
}

/** Returns, for each limit, the lower of the request's value and the policy's ceiling. */
function lowest(requested: Start['limits'], ceilings: SpawnRequest['limits']): SpawnRequest['limits'] {
  const requestedLimits = { memoryBytes: requested?.memory_bytes, cpus: requested?.cpus, pids: requested?.pids };
  const limits: Record<string, number> = {};
  for (const name of ['memoryBytes', 'cpus', 'pids'] as const) {
    const value = Math.min(requestedLimits[name] ?? Infinity, ceilings?.[name] ?? Infinity);
    if (value !== Infinity) limits[name] = value;
  }
  return Object.keys(limits).length === 0 ? undefined : limits;
}

async function chooseUser(requestedUser: string | undefined, host: HostUser): Promise<User | Ending> {
  if (requestedUser === undefined || requestedUser === host.name) return host;
  const user = await findUser(requestedUser);
  if (user === undefined) return failure('user_not_found', `The machine has no user ${requestedUser}.`);
  if (host.uid === 0 || user.uid === host.uid) return user;
  const message = `The agent runs as ${host.name}, not as root, so it cannot run commands as ${requestedUser}.`;
  return failure('permission_denied', message, 126);
}

/** Returns the requested shell, else the user's, else the first that exists. The `-` before its name makes it a login shell. */
async function loginShell(
  requestedShell: string | undefined,
  user: User,
): Promise<Pick<SpawnRequest, 'file' | 'argv'>> {
  let file = requestedShell;
  for (const shell of [user.shell, ...DEFAULT_SHELLS]) {
    if (file === undefined && (await exists(shell))) file = shell;
  }
  file ??= '/bin/sh';
  return { file, argv: [`-${file.slice(file.lastIndexOf('/') + 1)}`] };
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Returns the environment: a clean base, then the caller's variables, then those that the caller cannot set. */
function launchEnv(start: Start, user: User, host: HostUser): Record<string, string> {
  return {
    ...host.env,
    HOME: user.home,
    USER: user.name,
    LOGNAME: user.name,
    SHELL: user.shell,
    ...(start.tty !== undefined && { TERM: DEFAULT_TERM }),
    ...start.env,
    EXECUTION_ID: start.execution_id,
  };
}
