import { X509Certificate } from 'node:crypto';
import { type ClientRequest, request as httpRequest } from 'node:http';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { readCertificates } from '../../../node/files/pem.ts';
import { type Finding, fail, ok, warn } from '../../../node/finding.ts';
import type { ServerConfig } from '../../config.ts';

const ANSWER_TIMEOUT_MS = 5000;
const DAY_MS = 86_400_000;
/** Remaining days of a certificate below which a warning is given. Certificates of 90 days are renewed long before. */
const RENEW_DAYS = 14;

/** Checks the server's answers at its port. `key`: the admin key, if it can be read. */
export async function examineListener(config: ServerConfig, key: string | undefined, now: number): Promise<Finding[]> {
  const at = `${config.host}:${config.port}`;
  let certificate: X509Certificate | undefined;
  try {
    certificate =
      config.tlsCert === undefined
        ? undefined
        : new X509Certificate(readCertificates('EXECPLANE_TLS_CERT', config.tlsCert));
  } catch (error) {
    return [
      fail(
        'certificate',
        (error as Error).message,
        'Give doctor the settings of the server: --tls-cert and --tls-key.',
      ),
    ];
  }
  const findings = certificate === undefined ? [] : [expiry(certificate, now)];
  try {
    const ready = await statusOf(config, certificate, '/readyz');
    findings.push(readiness(at, ready));
    if (key !== undefined) findings.push(acceptance(await statusOf(config, certificate, '/v1/machines?limit=1', key)));
    else findings.push(warn('key', 'there is no admin key to try', 'Set EXECPLANE_API_KEY, or run doctor as root.'));
  } catch (error) {
    findings.push(await unanswered(config, at, error as NodeJS.ErrnoException));
  }
  return findings;
}

/** Returns the finding for a port that does not answer. A TLS server, which resets plain connections, is recognised. */
async function unanswered(
  config: ServerConfig,
  at: string,
  { code, message }: NodeJS.ErrnoException,
): Promise<Finding> {
  if (config.tlsCert === undefined && code !== 'ECONNREFUSED' && (await speaksTls(config))) {
    const remedy = 'Give doctor the settings of the server: --tls-cert and --tls-key.';
    return warn('port', `${at} answers over TLS, and doctor has no certificate`, remedy);
  }
  const remedy = 'Start the server. If it runs, give doctor its settings: --host, --port, --tls-cert and --tls-key.';
  return fail('port', `nothing answers at ${at} (${code ?? message})`, remedy);
}

function speaksTls({ host, port }: ServerConfig): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTls({
      host: reachableHost(host),
      port,
      rejectUnauthorized: false,
      timeout: ANSWER_TIMEOUT_MS,
    });
    socket.once('timeout', () => socket.destroy(new Error('no answer in time')));
    socket.once('error', () => resolve(false));
    socket.once('secureConnect', () => {
      resolve(true);
      socket.destroy();
    });
  });
}

/** Returns an address to connect to, for an address to listen on. */
function reachableHost(host: string): string {
  return { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host;
}

function expiry(certificate: X509Certificate, now: number): Finding {
  const days = Math.floor((Date.parse(certificate.validTo) - now) / DAY_MS);
  const message = `valid for ${days} days`;
  const remedy = 'Renew it, and reload it: kill -HUP, or restart the server.';
  if (days < 0) return fail('certificate', `expired on ${certificate.validTo}`, remedy);
  return days < RENEW_DAYS ? warn('certificate', message, remedy) : ok('certificate', message);
}

function readiness(at: string, status: number): Finding {
  if (status === 200) return ok('port', `${at} answers and is ready`);
  return fail(
    'port',
    `${at} answers, but is not ready (HTTP ${status})`,
    'Read its log: journalctl -u execplane-server',
  );
}

function acceptance(status: number): Finding {
  if (status === 200) return ok('key', 'the admin key is accepted');
  const remedy =
    'Check that the server of this directory listens there. It reads its key only at its start: restart it.';
  return fail('key', `the admin key is not accepted (HTTP ${status})`, remedy);
}

/** Returns the status of an answer. Over TLS the key is sent only to a server with the configured certificate, under any name. */
async function statusOf(
  { host, port }: ServerConfig,
  certificate: X509Certificate | undefined,
  path: string,
  key?: string,
): Promise<number> {
  const reachable = reachableHost(host);
  const socket = certificate === undefined ? undefined : await securely(reachable, port, certificate);
  return new Promise((resolve, reject) => {
    const request: ClientRequest = httpRequest({
      host: reachable,
      port,
      path,
      timeout: ANSWER_TIMEOUT_MS,
      headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
      ...(socket === undefined ? { agent: false } : { createConnection: () => socket }),
    });
    request.once('timeout', () => request.destroy(new Error('no answer in time')));
    request.once('error', reject);
    request.once('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.end();
  });
}

function securely(host: string, port: number, certificate: X509Certificate): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host, port, rejectUnauthorized: false, timeout: ANSWER_TIMEOUT_MS });
    socket.once('timeout', () => socket.destroy(new Error('no answer in time')));
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      if (socket.getPeerX509Certificate()?.fingerprint256 === certificate.fingerprint256) resolve(socket);
      else socket.destroy(new Error('it has another certificate than EXECPLANE_TLS_CERT'));
    });
  });
}
