import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { TLSSocket } from 'node:tls';
import { type Finding, fail, ok, warn } from '../../node/finding.ts';
import { isLoopback } from '../../node/network/loopback.ts';
import type { AgentConfig } from '../config.ts';
import type { Credential } from '../link/enrolment/credential.ts';
import { agentUrl, dial } from '../link/connection/dial.ts';
import { requestAgent } from '../../node/proxy.ts';

const ANSWER_TIMEOUT_MS = 10_000;
/** Clock difference from which a warning is given, ms. The server corrects times, but certificates and logs depend on the clock. */
const CLOCK_MS = 30_000;
const DAY_MS = 86_400_000;
const RENEW_DAYS = 14;

type Target = Pick<AgentConfig, 'url' | 'tls' | 'proxy'>;

/** Checks the connection to the server: its name, port and TLS, its answer, and whether it accepts this machine's credential. */
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
const CONVINCE =
  'Set EXECPLANE_CA_FILE to the authority that signed the certificate, or use the name in the certificate.';

function remedyFor(code: string): string {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'Check EXECPLANE_URL and the DNS of this machine.';
  if (code === 'ECONNREFUSED')
    return 'Nothing listens there. Check that the server runs, and that EXECPLANE_URL is its address and port.';
  if (code === 'EPROTO' || code === 'ECONNRESET')
    return 'Check whether the server speaks https or plain http, and set EXECPLANE_URL accordingly.';
  return 'Check the firewalls and proxies between this machine and the server.';
}

function answer(origin: string, status: number): Finding {
  if (status === 200) return ok('server', `${origin} is ready`);
  if (status === 503) return warn('server', `${origin} is not ready (503)`, 'Read the log of the server.');
  return fail(
    'server',
    `${origin} answers HTTP ${status}`,
    'Check that EXECPLANE_URL is the base URL of an Execplane server.',
  );
}

/** Checks the encryption: https, a trusted certificate, and the days until it expires. */
function encryption({ socket }: IncomingMessage, now: number): Finding {
  if (!(socket instanceof TLSSocket)) {
    if (isLoopback(socket.remoteAddress ?? '')) return ok('tls', 'plain http, which does not leave this machine');
    return warn('tls', 'plain http: anyone on the network path can read everything', 'Use https (docs/install.md).');
  }
  const { validTo = '' } = socket.getPeerX509Certificate() ?? {};
  const days = Math.floor((Date.parse(validTo) - now) / DAY_MS);
  const message = `${socket.getProtocol()}, with a certificate that is valid for ${days} days`;
  return days < RENEW_DAYS ? warn('tls', message, 'Renew it on the server.') : ok('tls', message);
}

function clock(serverMs: number, now: number): Finding {
  if (Number.isNaN(serverMs) || Math.abs(serverMs - now) <= CLOCK_MS) return ok('clock', 'agrees with the server');
  const message = `${Math.round(Math.abs(serverMs - now) / 1000)} s ${serverMs > now ? 'behind' : 'ahead of'} the server`;
  return warn('clock', message, 'Synchronise both clocks by NTP (timedatectl set-ntp true).');
}

/** Opens the agent's endpoint and closes it: without a hello the server starts no session, and a connected agent stays connected. */
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
      resolve(fail('authentication', error.message, 'Check that a proxy on the way passes WebSockets on.'));
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
  return fail(
    'authentication',
    `the server answers HTTP ${status}`,
    'Check that a proxy on the way passes WebSockets on.',
  );
}
