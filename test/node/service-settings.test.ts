import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { serviceSettings } from '../../src/node/service-settings.ts';

const DEPLOY = join(import.meta.dirname, '../../deploy');
let root: string;

/** A directory with the files that the packages install. */
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'execplane-host-'));
  mkdirSync(join(root, 'usr/lib/systemd/system'), { recursive: true });
  cpSync(join(DEPLOY, 'systemd'), join(root, 'usr/lib/systemd/system'), { recursive: true });
  mkdirSync(join(root, 'etc/execplane'), { recursive: true });
  mkdirSync(join(root, 'etc/systemd/system/execplane-server.service.d'), { recursive: true });
});

afterEach(() => rmSync(root, { recursive: true }));

test('settings come from the unit, its file and its drop-ins, and later ones override earlier ones', () => {
  const lines = ['# EXECPLANE_PORT=1', 'EXECPLANE_PORT=8443', 'EXECPLANE_TLS_CERT="/etc/execplane/my cert.pem"', ''];
  writeFileSync(join(root, 'etc/execplane/server.env'), lines.join('\n'));
  const dropIn = '[Service]\nEnvironment=EXECPLANE_RETENTION_DAYS=7 "EXECPLANE_PUBLIC_URL=https://a b"\n';
  writeFileSync(join(root, 'etc/systemd/system/execplane-server.service.d/own.conf'), dropIn);
  expect(serviceSettings('execplane-server.service', root)).toEqual({
    EXECPLANE_DATA_DIR: '/var/lib/execplane',
    EXECPLANE_HOST: '127.0.0.1',
    EXECPLANE_PORT: '8443',
    EXECPLANE_TLS_CERT: '/etc/execplane/my cert.pem',
    EXECPLANE_RETENTION_DAYS: '7',
    EXECPLANE_PUBLIC_URL: 'https://a b',
  });
});

test('settings of the agent are read, and a host without the package has none', () => {
  expect(serviceSettings('execplane-agent.service', root)).toEqual({
    EXECPLANE_AGENT_DIR: '/var/lib/execplane-agent/state',
  });
  expect(serviceSettings('execplane-agent.service', join(root, 'none'))).toEqual({});
});
