import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { CLOSE } from '../../../core/protocol.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';
import { AttachRefusedError, type RunnerSocket } from '../../runner-socket/runner-socket.ts';
import { backoffDelay, refusedDelay, restartDelay } from './backoff.ts';
import type { SessionEnd } from './session.ts';

export interface ConnectionLoopOptions {
  /** Finds or starts the runner; called again when it is gone. */
  runner: () => Promise<RunnerSocket>;
  /** One connection, from dialling to its end. */
  connect: (runner: RunnerSocket, linked: () => void) => Promise<SessionEnd>;
  /** The credential was refused: whether there is another one now. */
  renewCredential: () => Promise<boolean>;
  /** The loop goes round, and will again within `ms`; the connection says so for itself while it lasts. */
  expectWithin: (ms: number) => void;
  /** For tests; between 0 and 1. */
  random: () => number;
  log: Logger;
  signal: AbortSignal;
}

/** A connection that lasted this long was a good one: the next failure begins a new series. */
const STABLE_MS = 5_000;

/** Starting a runner, dialling and the welcome have bounds of their own, which together are shorter. */
const ATTEMPT_MS = 120_000;

/** What only a person can put right: waiting longer between attempts spares the server, and never ends them. */
const REFUSED_STATUSES = new Set([401, 403, 426]);
const REFUSED_CODES = new Set<number>([CLOSE.revoked, CLOSE.version, CLOSE.duplicate, CLOSE.removed]);
/** Refusals of the credential itself. */
const CREDENTIAL_REFUSED = new Set<number>([401, CLOSE.revoked, CLOSE.removed]);

/** Keeps a connection to the server up until its signal aborts. */
export class ConnectionLoop {
  readonly #options: ConnectionLoopOptions;
  #failures = 0;
  /** What was logged last: trouble that stays the same is logged once. */
  #logged = '';

  constructor(options: ConnectionLoopOptions) {
    this.#options = options;
  }

  /** Runs until the signal aborts. Rejects only if another link has the runner. */
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

  /** Waits as the end of the connection calls for; a new credential is tried at once. */
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

/** ms to wait after a connection that ended so. */
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
      return REFUSALS[end.code] ?? `the connection ended (${end.code}); coming back`;
    case 'no_runner':
      return 'no runner can be started; trying again';
    case 'runner_gone':
      return 'the runner is gone; starting another one';
    case 'aborted':
      return 'leaving';
  }
}

const REVOKED =
  'the server does not accept the credential of this agent (revoked, or its machine was removed): give it a new join token; trying again slowly';
const NO_COMMON_VERSION =
  'server and agent have no protocol version in common: upgrade the older one; trying again slowly';
const REFUSALS: Readonly<Record<number, string>> = {
  401: REVOKED,
  403: 'the server does not let this agent in; trying again slowly',
  426: NO_COMMON_VERSION,
  [CLOSE.revoked]: REVOKED,
  [CLOSE.removed]: REVOKED,
  [CLOSE.version]: NO_COMMON_VERSION,
  [CLOSE.duplicate]:
    'another agent is connected with the credential of this one (a copied directory?): each machine needs its own; trying again slowly',
  [CLOSE.restart]: 'the server restarts; coming back',
};
