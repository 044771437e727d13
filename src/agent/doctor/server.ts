import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { TLSSocket } from 'node:tls';
import { type Finding, fail, ok, warn } from '../../core/finding.ts';
import { isLoopback } from '../../node/loopback.ts';
import type { AgentConfig } from '../config.ts';
import type { Credential } from '../link/enrolment/credential.ts';
import { agentUrl, dial } from '../link/connection/dial.ts';
import { requestAgent } from '../../node/proxy-agent.ts';

const ANSWER_TIMEOUT_MS = 10_000;
/** The server corrects for it; certificates, logs and people do not. */
const CLOCK_MS = 30_000;
const DAY_MS = 86_400_000;
const RENEW_DAYS = 14;

type Target = Pick<AgentConfig, 'url' | 'tls' | 'proxy'>;

/** The way to the server: its name, its port, TLS, what answers there, and whether it lets this machine in. */
export async function examineServer(
  target: Target,
  credential: Credential | undefined,
  now: number,
): Promise<Finding[]> {
  const { origin } = target.url;
  let response: IncomingMessage;
  try {
    response = await get(target);
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (CERTIFICATE_FAULT.test(code)) return [fail('tls', `${origin}: ${message}`, CONVINCE)];
    return [fail('server', `${origin} cannot be reached: ${message || code}`, remedyFor(code))];
  }
  const findings = [
    answer(origin, response.statusCode ?? 0),
    encryption(response, now),
    clock(Date.parse(response.headers.date ?? ''), now),
  ];
  if (credential !== undefined) findings.push(await letIn(target, credential));
  return findings;
}

function get({ url, tls, proxy }: Target): Promise<IncomingMessage> {
  const target = agentUrl(url, '/readyz');
  const send = target.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = send(target, {
      agent: requestAgent(url, proxy) ?? false,
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
      ...tls,
    });
    request.once('error', reject);
    request.once('response', (response) => {
      response.resume();
      resolve(response);
    });
    request.end();
  });
}

const CERTIFICATE_FAULT = /^(ERR_TLS|CERT|DEPTH|UNABLE|SELF|HOSTNAME)/;
const CONVINCE = 'Set EXECPLANE_CA_FILE to the authority that signed the certificate, or use the name that it is for.';

function remedyFor(code: string): string {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'Is EXECPLANE_URL right, and does DNS work here?';
  if (code === 'ECONNREFUSED')
    return 'Nothing listens there: is the server up, and EXECPLANE_URL its address and port?';
  if (code === 'EPROTO' || code === 'ECONNRESET') return 'Does it speak https there (EXECPLANE_URL), or plain http?';
  return 'Look at firewalls and proxies between here and there.';
}

function answer(origin: string, status: number): Finding {
  if (status === 200) return ok('server', `${origin} is ready`);
  if (status === 503) return warn('server', `${origin} is not ready (503)`, 'Look at the log of the server.');
  return fail('server', `${origin} answers HTTP ${status}`, 'Is that an Execplane server, and EXECPLANE_URL its base?');
}

/** What crosses the network: over https, with a certificate that convinced, by when it has to be another one. */
function encryption({ socket }: IncomingMessage, now: number): Finding {
  if (!(socket instanceof TLSSocket)) {
    if (isLoopback(socket.remoteAddress ?? '')) return ok('tls', 'plain http, which does not leave this machine');
    return warn('tls', 'plain http: whoever is on the way reads everything', 'Use https (docs/install.md).');
  }
  const { validTo = '' } = socket.getPeerX509Certificate() ?? {};
  const days = Math.floor((Date.parse(validTo) - now) / DAY_MS);
  const message = `${socket.getProtocol()}, with a certificate that is good for ${days} days`;
  return days < RENEW_DAYS ? warn('tls', message, 'Renew it on the server.') : ok('tls', message);
}

function clock(theirs: number, now: number): Finding {
  if (Number.isNaN(theirs) || Math.abs(theirs - now) <= CLOCK_MS) return ok('clock', 'agrees with the server');
  const message = `${Math.round(Math.abs(theirs - now) / 1000)} s ${theirs > now ? 'behind' : 'ahead of'} the server`;
  return warn('clock', message, 'Have both clocks kept by NTP (timedatectl set-ntp true).');
}

/** Knocks and goes: without a hello the server makes nothing of it, and a connected agent stays connected. */
function letIn({ url, tls, proxy }: Target, { credential }: Credential): Promise<Finding> {
  return new Promise((resolve) => {
    const socket = dial({ url, tls, proxy, credential });
    socket.once('open', () => {
      resolve(ok('authentication', 'the credential is accepted'));
      socket.close();
    });
    socket.once('unexpected-response', (_request, { statusCode = 0 }) => {
      resolve(refused(statusCode));
      socket.terminate();
    });
    socket.on('error', (error) => {
      resolve(fail('authentication', error.message, 'Does a proxy in between pass WebSockets on?'));
    });
  });
}

function refused(status: number): Finding {
  if (status === 401) {
    const remedy =
      'Make a join token for this machine (execplane tokens create --machine ID) and start the agent with it.';
    return fail('authentication', 'the credential is refused: revoked, or the machine was removed', remedy);
  }
  if (status === 403) {
    return fail(
      'authentication',
      'the server asks for a client certificate',
      'Set EXECPLANE_TLS_CERT and EXECPLANE_TLS_KEY.',
    );
  }
  return fail('authentication', `the server answers HTTP ${status}`, 'Does a proxy in between pass WebSockets on?');
}
