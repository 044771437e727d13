import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ConfigError } from '../../../src/node/config-error.ts';
import { readProviders } from '../../../src/server/providers/providers-file.ts';

const HERE = { environment: {}, now: Date.now };

function fileOf(content: unknown): string {
  const dir = mkdtempSync(join(tmpdir(), 'execplane-providers-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const path = join(dir, 'providers.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const DOCKER = { command: ['/usr/bin/hook'], capabilities: ['create', 'delete'] };
const file = (more: object = {}, top: object = {}) => ({ providers: { docker: { ...DOCKER, ...more } }, ...top });

test('without a file there are no providers', () => {
  expect(readProviders(undefined, HERE)).toEqual({ byName: new Map() });
});

test('a provider has the settings of the file, and defaults', () => {
  const settings = { autosleep: '30m', max_machines: 3, attributes: { image: '[a-z]+' } };
  const { defaultName, byName } = readProviders(fileOf(file(settings, { default: 'docker' })), HERE);
  expect(defaultName).toBe('docker');
  expect(byName.get('docker')).toMatchObject({
    name: 'docker',
    capabilities: new Set(['create', 'delete']),
    concurrency: 4,
    maxMachines: 3,
    autosleepSeconds: 1800,
    minAwakeMs: 0,
  });
  const image = byName.get('docker')?.attributes.get('image');
  expect([image?.test('debian'), image?.test('debian;rm')]).toEqual([true, false]);
});

test.each([
  ['that is not JSON', '{', 'is not JSON'],
  ['without providers', {}, 'providers'],
  ['with an unknown setting', file({ timeout: 1 }), '/providers/docker'],
  ['with an unknown operation', file({ capabilities: ['reboot'] }), '/providers/docker/capabilities'],
  ['with neither command nor url', { providers: { docker: { capabilities: ['create'] } } }, 'needs a command or a url'],
  ['with both', file({ url: 'https://x', secret: `whsec_${'A'.repeat(32)}` }), 'needs a command or a url'],
  ['with a url and no secret', { providers: { x: { url: 'https://x', capabilities: ['create'] } } }, 'needs a secret'],
  ['with an invalid pattern', file({ attributes: { image: '[' } }), '/providers/docker/attributes/image'],
  ['with an unknown default', file({}, { default: 'aws' }), 'there is no provider aws'],
  ['with an invalid autosleep', file({ autosleep: '1s2m' }), '/providers/docker/autosleep'],
])('a file %s is refused with the place of the error', (_name, content, place) => {
  const path = fileOf(content);
  const read = () => readProviders(path, HERE);
  expect(read).toThrow(ConfigError);
  expect(read).toThrow(`EXECPLANE_PROVIDERS: ${path}: `);
  expect(read).toThrow(place);
});

test('a missing file is refused', () => {
  expect(() => readProviders('/none/providers.json', HERE)).toThrow(
    /^EXECPLANE_PROVIDERS: .* cannot be read: there is no such file/,
  );
});
