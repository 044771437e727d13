import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { parseJson } from '../../../core/json.ts';
import type { EnrolRequest } from '../../../core/enrolment.ts';
import { AGENT_PATHS } from '../../../core/protocol.ts';
import type { AgentTls } from '../../config.ts';
import { isEnrolResponse } from '../../schemas/checks.ts';
import { backoffDelay } from '../connection/backoff.ts';
import { type Credential, pendingEnrolment, writeCredential } from './credential.ts';
import { agentUrl } from '../connection/dial.ts';
import { requestAgent } from '../../../node/proxy.ts';
import { readRefusal, readText } from '../connection/refusal.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';

export interface EnrolOptions {
  url: URL;
  dir: string;
  machineId?: string;
  machineName?: string;
  tls: AgentTls;
  proxy?: URL | undefined;
  log: Logger;
  /** Heartbeat of the enrolment: the next call follows within `ms`. */
  expectWithin: (ms: number) => void;
  signal: AbortSignal;
}

/** The server refuses this token. Only a person can correct that. */
export class EnrolRefusedError extends Error {
  override readonly name = 'EnrolRefusedError';
}

const REQUEST_TIMEOUT_MS = 15_000;
/** Time allowed for a request and the delay after it, ms. Their own limits are shorter. */
const ROUND_MS = 60_000;
const MAX_ANSWER_BYTES = 65_536;

/**
 * Exchanges a join token for a credential. The agent generates the credential and writes it to disk before the request, so that a lost reply
 * leads to a repeated request and not to a second machine. Repeats the request until the server answers. Throws EnrolRefusedError, and the
 * error of an abort.
 */
export async function enrol(token: string, options: EnrolOptions): Promise<Credential> {
  const pending = pendingEnrolment(options.dir, token);
  const body: EnrolRequest = {
    join_token: token,
    credential: pending.credential,
    ...(options.machineId === undefined ? {} : { machine_id: options.machineId }),
    ...(options.machineName === undefined ? {} : { name: options.machineName }),
  };
  for (let failures = 0; ; failures += 1) {
    options.expectWithin(ROUND_MS);
    const answer = await ask(body, options);
    if (typeof answer !== 'string') {
      if (failures === 0)
        options.log.warn(
          { [LOG_KEY.server]: options.url.origin, [LOG_KEY.detail]: answer.failure },
          'cannot enrol yet: the server cannot be reached, or failed; trying again',
        );
      await delay(backoffDelay(failures, Math.random()), undefined, { signal: options.signal });
      continue;
    }
    const accepted = { machineId: answer, ...pending };
    writeCredential(options.dir, accepted);
    options.log.info({ [LOG_KEY.machineId]: answer }, 'enrolled');
    return accepted;
  }
}

/** Returns the machine id, or the failure after which a later attempt may work. */
async function ask(body: EnrolRequest, options: EnrolOptions): Promise<string | { failure: string }> {
  let response: IncomingMessage;
  try {
    response = await post(body, options);
  } catch (error) {
    options.signal.throwIfAborted();
    return { failure: (error as Error).message || (error as Error).name };
  }
  const status = response.statusCode ?? 0;
  if (status === 200) {
    const machineId = readMachineId(await readText(response, MAX_ANSWER_BYTES));
    return machineId ?? { failure: 'the answer was cut short' };
  }
  const { detail } = await readRefusal(response);
  const failure = `HTTP ${status}: ${detail}`;
  if (status >= 500 || status === 408 || status === 429) return { failure };
  if (status === 404) {
    throw new EnrolRefusedError(
      `there is no server of Execplane at ${options.url.href} (${failure}): set EXECPLANE_URL to its address. A path in it is right only if a proxy maps it to the server.`,
    );
  }
  const hint = status === 409 ? '' : ' Make a new one with "execplane tokens create".';
  throw new EnrolRefusedError(`${options.url.origin} refuses the join token (${failure}).${hint}`);
}

function readMachineId(text: string): string | undefined {
  const answer = parseJson(text);
  return isEnrolResponse(answer) ? answer.machine_id : undefined;
}

function post(body: EnrolRequest, { url, tls, proxy, signal }: EnrolOptions): Promise<IncomingMessage> {
  const target = agentUrl(url, AGENT_PATHS.enrol);
  const send = target.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = send(target, {
      method: 'POST',
      agent: requestAgent(url, proxy) ?? false,
      headers: { 'content-type': 'application/json' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
      ...tls,
    });
    request.once('response', resolve).once('error', reject);
    request.end(JSON.stringify(body));
  });
}
