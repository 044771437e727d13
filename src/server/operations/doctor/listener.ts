import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type ClientRequest, request as httpRequest } from 'node:http';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { type Finding, fail, ok, warn } from '../../../core/finding.ts';
import type { ServerConfig } from '../../config.ts';

const PATIENCE_MS = 5000;
const DAY_MS = 86_400_000;
/** Certificates that live 90 days are renewed long before. */
const RENEW_DAYS = 14;

/** What the server answers at its port; `key`: the admin key, where there is one to be had. */
export async function examineListener(config: ServerConfig, key: string | undefined, now: number): Promise<Finding[]> {
  const at = `${config.host}:${config.port}`;
  let certificate: X509Certificate | undefined;
  try {
    certificate = config.tlsCert === undefined ? undefined : new X509Certificate(readFileSync(config.tlsCert));
  } catch (error) {
    return [
      fail('certificate', (error as Error).message, 'EXECPLANE_TLS_CERT has to be a PEM file that you may read.'),
    ];
  }
  const findings = certificate === undefined ? [] : [expiry(certificate, now)];
  try {
    const ready = await statusOf(config, certificate, '/readyz');
    findings.push(readiness(at, ready));
    if (key !== undefined) findings.push(acceptance(await statusOf(config, certificate, '/v1/machines?limit=1', key)));
    else findings.push(warn('key', 'there is no admin key to try', 'Set EXECPLANE_API_KEY, or run doctor as root.'));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const said = `nothing answers at ${at} (${code ?? message})`;
    findings.push(
      fail(
        'port',
        said,
        'Start the server. It runs? Give doctor its settings: --host, --port, --tls-cert and --tls-key.',
      ),
    );
  }
  return findings;
}

function expiry(certificate: X509Certificate, now: number): Finding {
  const days = Math.floor((Date.parse(certificate.validTo) - now) / DAY_MS);
  const said = `good for ${days} days`;
  const cure = 'Renew it, and let the server read it anew: kill -HUP, or a restart.';
  if (days < 0) return fail('certificate', `expired on ${certificate.validTo}`, cure);
  return days < RENEW_DAYS ? warn('certificate', said, cure) : ok('certificate', said);
}

function readiness(at: string, status: number): Finding {
  if (status === 200) return ok('port', `${at} answers and is ready`);
  return fail(
    'port',
    `${at} answers, and is not ready (HTTP ${status})`,
    'Look at its log: journalctl -u execplane-server',
  );
}

function acceptance(status: number): Finding {
  if (status === 200) return ok('key', 'the admin key is accepted');
  const cure = 'Is it the server of this directory that listens there? It reads its key at its start: restart it.';
  return fail('key', `the admin key is not accepted (HTTP ${status})`, cure);
}

/** The status of an answer. Over TLS only to whoever shows the server's own certificate, under whatever name. */
async function statusOf(
  { host, port }: ServerConfig,
  certificate: X509Certificate | undefined,
  path: string,
  key?: string,
): Promise<number> {
  const reachable = { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host;
  const socket = certificate === undefined ? undefined : await securely(reachable, port, certificate);
  return new Promise((resolve, reject) => {
    const request: ClientRequest = httpRequest({
      host: reachable,
      port,
      path,
      timeout: PATIENCE_MS,
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
    const socket = connectTls({ host, port, rejectUnauthorized: false, timeout: PATIENCE_MS });
    socket.once('timeout', () => socket.destroy(new Error('no answer in time')));
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      if (socket.getPeerX509Certificate()?.fingerprint256 === certificate.fingerprint256) resolve(socket);
      else socket.destroy(new Error('it shows another certificate than EXECPLANE_TLS_CERT'));
    });
  });
}
