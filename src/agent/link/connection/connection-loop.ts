import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { CLOSE } from '../../../core/protocol.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';
import { AttachRefusedError, type RunnerSocket } from '../../runner-socket/runner-socket.ts';
import { backoffDelay, refusedDelay, restartDelay } from './backoff.ts';
import type { SessionEnd } from './session.ts';

export interface ConnectionLoopOptions {
  /** Finds or starts the runner. Called again when the runner is gone. */
  runner: () => Promise<RunnerSocket>;
  /** Runs one connection, from dialling to its end. */
  connect: (runner: RunnerSocket, linked: () => void) => Promise<SessionEnd>;
  /** Called after the credential was refused. Returns whether there is another one now. */
  renewCredential: () => Promise<boolean>;
  /** Heartbeat of the loop: the next call follows within `ms`. An open connection makes the calls itself. */
  expectWithin: (ms: number) => void;
  /** Random numbers from 0 to 1; tests pass their own. */
  random: () => number;
  log: Logger;
  signal: AbortSignal;
}

/** Duration of a connection after which the next failure starts a new series of delays, ms. */
const STABLE_MS = 5_000;

/** Time allowed for an attempt, ms. The limits for starting a runner, dialling and the welcome have a shorter sum. */
const ATTEMPT_MS = 120_000;

/** Refusals that only a person can lift. Attempts continue, with a longer delay to spare the server. */
const REFUSED_STATUSES = new Set([401, 403, 426]);
const REFUSED_CODES = new Set<number>([CLOSE.revoked, CLOSE.version, CLOSE.duplicate, CLOSE.removed]);
/** Refusals of the credential itself. */
const CREDENTIAL_REFUSED = new Set<number>([401, CLOSE.revoked, CLOSE.removed]);

/** Keeps a connection to the server open until its signal aborts. */
export class ConnectionLoop {
  readonly #options: ConnectionLoopOptions;
  #failures = 0;
  /** The last logged message. A failure that repeats with the same message is logged once. */
  #logged = '';

  constructor(options: ConnectionLoopOptions) {
    this.#options = options;
  }

  /** Runs until the signal aborts. Rejects only if another link holds the runner. */
  async run(): Promise<void> {
    const { expectWithin, signal } = this.#options;
    while (!signal.aborted) {
      expectWithin(ATTEMPT_MS);
      const end = await this.#attempt();
      if (end.cause === 'aborted') return;
      await this.#recover(end);
    }
  }

  async #attempt(): Promise<SessionEnd> {
    const { runner: attached, connect, log } = this.#options;
    let runner: RunnerSocket;
    try {
      runner = await attached();
    } catch (error) {
      if (error instanceof AttachRefusedError) throw error;
      return { cause: 'no_runner', detail: (error as Error).message };
    }
    return connect(runner, () => {
      log.info({ [LOG_KEY.runnerInstance]: runner.instance }, 'connected');
      this.#logged = '';
    });
  }

  /** Waits for the time that the end of the connection requires. A new credential is tried immediately. */
  async #recover(end: SessionEnd): Promise<void> {
    const { expectWithin, renewCredential, random, signal } = this.#options;
    if (end.cause === 'closed' && end.linkedMs > STABLE_MS) this.#failures = 0;
    expectWithin(ATTEMPT_MS);
    if (isCredentialRefused(end) && (await renewCredential())) return;
    this.#logOnce(end);
    const ms = delayAfter(end, this.#failures, random());
    this.#failures += 1;
    expectWithin(ms + ATTEMPT_MS);
    await delay(ms, undefined, { signal }).catch(() => {});
  }

  #logOnce(end: SessionEnd): void {
    const trouble = describe(end);
    this.#options.log[trouble === this.#logged ? 'debug' : 'warn'](loggedEnd(end), trouble);
    this.#logged = trouble;
  }
}

/** Returns the ms to wait after a connection that ended with `end`. */
export function delayAfter(end: SessionEnd, failures: number, random: number): number {
  if (end.cause === 'refused' && REFUSED_STATUSES.has(end.status)) return refusedDelay(random);
  if (end.cause === 'closed' && REFUSED_CODES.has(end.code)) return refusedDelay(random);
  if (end.cause === 'closed' && end.code === CLOSE.restart && end.linkedMs > 0) return restartDelay(random);
  return backoffDelay(failures, random);
}

function isCredentialRefused(end: SessionEnd): boolean {
  return CREDENTIAL_REFUSED.has(end.cause === 'refused' ? end.status : end.cause === 'closed' ? end.code : 0);
}

function loggedEnd(end: SessionEnd): Record<string, unknown> {
  return {
    [LOG_KEY.causeOfEnd]: end.cause,
    ...('detail' in end && { [LOG_KEY.detail]: end.detail }),
    ...('status' in end && { [LOG_KEY.status]: end.status }),
    ...('code' in end && { [LOG_KEY.code]: end.code }),
    ...('linkedMs' in end && { [LOG_KEY.linkedMs]: Math.round(end.linkedMs) }),
  };
}

function describe(end: SessionEnd): string {
  switch (end.cause) {
    case 'unreachable':
      return 'the server cannot be reached; trying again';
    case 'refused':
      return REFUSALS[end.status] ?? `the server answered with HTTP ${end.status}; trying again`;
    case 'closed':
      return REFUSALS[end.code] ?? `the connection ended (${end.code}); connecting again`;
    case 'no_runner':
      return 'the runner could not be started; trying again: see runner.log in the agent directory';
    case 'runner_gone':
      return 'the runner is gone; starting another one';
    case 'aborted':
      return 'leaving';
  }
}

const REVOKED =
  'the server does not accept the credential of this agent (it was revoked, or its machine was removed): give the agent a new join token; trying again slowly';
const NO_COMMON_VERSION =
  'server and agent have no protocol version in common: upgrade the older one; trying again slowly';
const REFUSALS: Readonly<Record<number, string>> = {
  401: REVOKED,
  403: 'the server refuses this agent (403): it may require a client certificate (EXECPLANE_TLS_CERT); trying again slowly',
  404: 'there is no server of Execplane at this address (404): check EXECPLANE_URL, and its path if it has one; trying again',
  426: NO_COMMON_VERSION,
  [CLOSE.revoked]: REVOKED,
  [CLOSE.removed]: REVOKED,
  [CLOSE.version]: NO_COMMON_VERSION,
  [CLOSE.duplicate]:
    'another agent is connected with the credential of this one (a copied directory?): each machine needs its own; trying again slowly',
  [CLOSE.restart]: 'the server restarts; connecting again',
};
