import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { PROTOCOL_VERSION } from '../../core/protocol.ts';
import type { AgentConfig } from '../config.ts';
import {
  type Credential,
  leftEnrolment,
  readCredential,
  tokenDigest,
  writeCredential,
} from './enrolment/credential.ts';
import { dial } from './connection/dial.ts';
import { watchDirectory } from '../../node/directory.ts';
import { prepareDirectory } from '../processes/state-directory.ts';
import { enrol } from './enrolment/enrol.ts';
import { hostFacts, machineFacts } from './facts.ts';
import { firstCredential } from './enrolment/first-credential.ts';
import { readJoinToken } from './enrolment/join-token.ts';
import { ConnectionLoop } from './connection/connection-loop.ts';
import type { Liveness } from './liveness.ts';
import { claimPidFile, type PidFile } from '../processes/link-pid-file.ts';
import { findOrStartRunner } from '../processes/runner-process.ts';
import type { RunnerSocket } from '../runner-socket/runner-socket.ts';
import { runSession, type SessionEnd } from './connection/session.ts';
import { stopRunner } from '../processes/stop.ts';
import { packageVersion } from '../../node/version.ts';

/** Time allowed for the start, ms. Finding or starting the runner has a shorter limit of its own. */
const START_MS = 60_000;

/** The link process of one directory, from start to detach or stop. */
export class Agent {
  readonly #config: AgentConfig;
  readonly #log: Logger;
  readonly #onConnected: (machineId: string) => void;
  readonly #liveness: Liveness;
  /** Aborts when this process has to disconnect from the server. */
  readonly #leaving = new AbortController();
  #credential: Credential | undefined;
  /** The credential of the present connection, or of the last one. */
  #usedCredential: Credential | undefined;
  #rotating: Promise<void> | undefined;
  #runner: RunnerSocket | undefined;
  #attaching: Promise<RunnerSocket> | undefined;
  #stopping: Promise<void> | undefined;
  #pidFile: PidFile | undefined;

  constructor(config: AgentConfig, log: Logger, liveness: Liveness, onConnected: (machineId: string) => void) {
    this.#config = config;
    this.#log = log;
    this.#liveness = liveness;
    this.#onConnected = onConnected;
  }

  /** Runs until `detach` or `stop`. Rejects if the directory or the runner is not usable, or if there is no first join token. */
  async run(): Promise<void> {
    const { dir } = this.#config;
    this.#liveness.expectWithin(START_MS);
    prepareDirectory(dir);
    // The runner comes first. It accepts one link only, so that a single process does the rest.
    await this.#attachedRunner();
    this.#pidFile = claimPidFile(dir);
    const stopWatching = watchDirectory(dir, this.#log);
    try {
      this.#credential = await this.#enrolled();
      await new ConnectionLoop({
        runner: () => this.#attachedRunner(),
        connect: (runner, linked) => this.#connect(runner, linked),
        renewCredential: () => this.#renewCredential(),
        expectWithin: this.#expectWithin,
        random: Math.random,
        log: this.#log,
        signal: this.#leaving.signal,
      }).run();
    } catch (error) {
      if (!this.#leaving.signal.aborted) throw error;
    } finally {
      stopWatching();
      await this.#stopping;
      this.#runner?.detach();
      this.#pidFile.release();
    }
  }

  /** Disconnects from the server and the runner. Commands keep running. */
  detach(): void {
    if (this.#stopping !== undefined) return;
    this.#log.info('detaching: commands keep running');
    this.#leaving.abort();
  }

  /** Ends all commands. The link stays until the runner has reported everything. */
  stop(): void {
    if (this.#stopping !== undefined) return;
    this.#log.info('stopping: ending all commands');
    this.#stopping = this.#stopAll();
  }

  readonly #expectWithin = (ms: number): void => this.#liveness.expectWithin(ms);

  async #stopAll(): Promise<void> {
    const runner = await this.#attaching?.catch(() => undefined);
    if (runner !== undefined) await stopRunner(runner);
    this.#leaving.abort();
  }

  async #attachedRunner(): Promise<RunnerSocket> {
    if (this.#runner?.closed === false) return this.#runner;
    const { dir, maxConcurrency, policyRequired, runnerEnv, softFileLimit } = this.#config;
    this.#attaching = findOrStartRunner({
      dir,
      maxConcurrency,
      policyRequired,
      env: runnerEnv,
      softFileLimit,
      log: this.#log,
    });
    this.#runner = await this.#attaching;
    return this.#runner;
  }

  async #connect(runner: RunnerSocket, linked: () => void): Promise<SessionEnd> {
    const { url, tls, proxy, dir, maxConcurrency, labels } = this.#config;
    this.#usedCredential = this.#credential;
    const { credential, machineId } = this.#credential as Credential;
    const end = await runSession({
      dial: () => dial({ url, credential, tls, proxy }),
      runner,
      hello: {
        protocol: PROTOCOL_VERSION,
        version: packageVersion(),
        max_concurrency: maxConcurrency,
        facts: await machineFacts(dir),
        host: hostFacts(),
        labels,
      },
      linked: () => {
        linked();
        this.#pidFile?.setLinked(true);
        this.#onConnected(machineId);
      },
      rotate: (token) => this.#rotate(token),
      expectWithin: this.#expectWithin,
      signal: this.#leaving.signal,
    });
    this.#pidFile?.setLinked(false);
    // A runner that was stopped is not started again.
    return end.cause === 'runner_gone' && this.#stopping !== undefined ? { cause: 'aborted' } : end;
  }

  async #enrolled(): Promise<Credential> {
    const { dir } = this.#config;
    const pause = (ms: number) => {
      this.#liveness.expectWithin(ms + START_MS);
      return delay(ms, undefined, { signal: this.#leaving.signal });
    };
    return (
      readCredential(dir) ??
      firstCredential({
        readToken: () => readJoinToken(this.#config),
        enrol: (token) => this.#enrol(token),
        pause,
        log: this.#log,
        dir,
      })
    );
  }

  /** The server closes this connection once the new credential is in force. The next connection uses it. */
  #rotate(token: string): void {
    this.#rotating ??= this.#exchange(token).finally(() => {
      this.#rotating = undefined;
    });
  }

  async #exchange(token: string): Promise<void> {
    const { enrolledWith } = this.#credential as Credential;
    try {
      const fresh = await this.#enrol(token);
      // The machine has enrolled with the token of the settings: it is not tried again.
      this.#credential = { ...fresh, enrolledWith };
      writeCredential(this.#config.dir, this.#credential);
    } catch (error) {
      if (!this.#leaving.signal.aborted)
        this.#log.warn({ err: error }, 'the credential was not replaced; the old one stays in use: rotate it again');
    }
  }

  /**
   * Looks for another credential after the server refused this one. The credential may have been rotated, by this process or by an earlier one
   * that did not receive the answer. Or the settings contain a new join token, because the operator lets the machine join again.
   */
  async #renewCredential(): Promise<boolean> {
    await this.#rotating;
    if (this.#credential !== this.#usedCredential) return true;
    try {
      const token = this.#presentToken();
      if (token === undefined || tokenDigest(token) === this.#credential?.enrolledWith) return this.#takeLeft();
      this.#credential = await this.#enrol(token);
      return true;
    } catch (error) {
      this.#log.warn(
        { err: error },
        'the server does not accept the join token in the settings either: make another one with "execplane tokens create"',
      );
      return false;
    }
  }

  /** Returns the join token. Undefined also if its file is gone, as after the first start of most machines. */
  #presentToken(): string | undefined {
    try {
      return readJoinToken(this.#config);
    } catch {
      return undefined;
    }
  }

  #takeLeft(): boolean {
    const left = leftEnrolment(this.#config.dir);
    if (left === undefined) return false;
    const { machineId, enrolledWith } = this.#credential as Credential;
    this.#credential = { machineId, credential: left.credential, enrolledWith };
    writeCredential(this.#config.dir, this.#credential);
    return true;
  }

  #enrol(token: string): Promise<Credential> {
    const { url, dir, machineId, machineName, tls, proxy } = this.#config;
    return enrol(token, {
      url,
      dir,
      tls,
      proxy,
      log: this.#log,
      expectWithin: this.#expectWithin,
      signal: this.#leaving.signal,
      ...(machineId === undefined ? {} : { machineId }),
      ...(machineName === undefined ? {} : { machineName }),
    });
  }
}
