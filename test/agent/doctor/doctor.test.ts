/** The checks of `doctor` for the connection from an agent to its server. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type AgentConfig, readAgentConfig } from '../../../src/agent/config.ts';
import { examineAgent } from '../../../src/agent/doctor/doctor.ts';
import { runningServer } from '../../helpers/running-server.ts';

const FIXTURES = new URL('../../server/fixtures/', import.meta.url).pathname;
const CERTIFICATE = join(FIXTURES, 'test-only-cert.pem');
const OTHER = join(FIXTURES, 'other-test-only-cert.pem');
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'execplane-agent-doctor-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Starts a server with the test certificate. Returns its URL with the name in the certificate. */
async function secureServer() {
  const tlsKey = join(dir, 'key.pem');
  writeFileSync(tlsKey, readFileSync(join(FIXTURES, 'test-only-key.pem')), { mode: 0o600 });
  return runningServer({ tlsCert: CERTIFICATE, tlsKey });
}

async function said(check: string, changes: Partial<AgentConfig>, now = Date.now()) {
  const findings = await examineAgent({ ...readAgentConfig({ agentDir: dir }, {}), ...changes }, now);
  return findings.find((finding) => finding.check === check);
}

const trusting = (file: string) => ({ ca: readFileSync(file, 'utf8') });

test('a trusted certificate is ok, and one that expires soon warns', async () => {
  await using server = await secureServer();
  const target = { url: new URL(server.url), tls: trusting(CERTIFICATE) };
  expect(await said('tls', target)).toMatchObject({ state: 'ok', message: expect.stringMatching(/^TLSv1\.3.* days$/) });
  expect(await said('server', target)).toMatchObject({ state: 'ok' });
  expect(await said('tls', target, Date.parse('2999-01-01'))).toMatchObject({ state: 'warn' });
});

test('a certificate of an unknown authority fails with the name of the setting', async () => {
  await using server = await secureServer();
  const target = { url: new URL(server.url), tls: trusting(OTHER) };
  expect(await said('tls', target)).toMatchObject({
    state: 'fail',
    remedy: expect.stringContaining('EXECPLANE_CA_FILE'),
  });
});

test('plain http within the machine is ok; a port without a listener is not', async () => {
  await using server = await runningServer();
  expect(await said('tls', { url: new URL(server.url) })).toMatchObject({ state: 'ok' });
  expect(await said('server', { url: new URL('http://127.0.0.1:1') })).toMatchObject({
    state: 'fail',
    remedy: expect.stringContaining('Nothing listens'),
  });
});

test('https to a server that speaks plain http fails', async () => {
  await using server = await runningServer();
  const url = new URL(server.url.replace('http:', 'https:'));
  expect(await said('server', { url })).toMatchObject({ state: 'fail', remedy: expect.stringContaining('https') });
});

test('a clock that is off warns, and a machine that has not joined is reported', async () => {
  await using server = await runningServer();
  const target = { url: new URL(server.url) };
  expect(await said('clock', target, Date.now() - 3_600_000)).toMatchObject({ state: 'warn' });
  expect(await said('credential', target)).toMatchObject({
    state: 'fail',
    remedy: expect.stringContaining('join token'),
  });
});

test('a malformed policy fails; a valid one and a missing one are ok', async () => {
  const file = join(dir, 'policy.json');
  const target = { url: new URL('http://127.0.0.1:1') };
  expect(await said('policy', target)).toMatchObject({
    state: 'ok',
    message: expect.stringContaining('no policy.json'),
  });
  writeFileSync(file, '{"allow_comands": []}', { mode: 0o600 });
  expect(await said('policy', target)).toMatchObject({
    state: 'fail',
    message: expect.stringContaining('allow_comands'),
  });
  writeFileSync(file, '{"deny_commands": ["/bin/rm"]}');
  expect(await said('policy', target)).toMatchObject({ state: 'ok', message: file });
});
