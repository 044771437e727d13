/** The Dockerfile, the compose files and the scripts of deploy/ match docs/containers.md. containers.sh runs them with a real engine. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

const ROOT = join(import.meta.dirname, '../..');
const COMPOSE = [
  'docker-compose.yml',
  'deploy/compose/tls/docker-compose.yml',
  'deploy/compose/agent/docker-compose.yml',
  'deploy/compose/cluster/docker-compose.yml',
];
const SECRET = /(key|token|secret|password)/i;
const has = (program: string) => spawnSync(program, ['--version']).status === 0;

interface Service {
  build?: { context: string; target: string };
  image?: string;
  environment?: Record<string, string>;
  volumes?: string[];
  restart?: string;
  init?: boolean;
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  secrets?: string[];
}
interface Compose {
  services: Record<string, Service>;
  volumes: Record<string, null>;
  secrets?: Record<string, { file: string }>;
}

const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8').replace(/\\\n\s*/g, '');
/** The instructions of the Dockerfile by stage. */
const stages = new Map<string, string[]>();
for (const line of dockerfile.split('\n').filter((text) => text !== '' && !text.startsWith('#'))) {
  const stage = /^FROM \S+ AS (\w+)$/.exec(line)?.[1];
  if (stage !== undefined) stages.set(stage, [line]);
  else [...stages.values()].at(-1)?.push(line);
}
const stage = (name: string) => stages.get(name) ?? [];

describe.each(COMPOSE)('%s', (file) => {
  const folder = dirname(join(ROOT, file));
  const { services, volumes, secrets = {} } = parse(readFileSync(join(ROOT, file), 'utf8'), { merge: true }) as Compose;

  test.each(Object.entries(services))('%s: the service is confined as the page says', (_name, service) => {
    expect(service).toMatchObject({ init: true, read_only: true, cap_drop: ['ALL'] });
    expect(service.security_opt).toEqual(['no-new-privileges:true']);
    expect(service.restart).toBeDefined();
    for (const name of Object.keys(service.environment ?? {})) {
      // A file that holds one may be named.
      if (SECRET.test(name)) expect(name).toMatch(/_FILE$/);
    }
  });

  test.each(Object.entries(services))('%s: the files and stages that the service needs exist', (_name, service) => {
    if (service.build !== undefined) {
      expect(existsSync(resolve(folder, service.build.context, 'Dockerfile'))).toBe(true);
      expect([...stages.keys()]).toContain(service.build.target);
    }
    for (const volume of service.volumes ?? []) {
      const [source = ''] = volume.split(':');
      if (source.startsWith('.')) expect(existsSync(resolve(folder, source)), source).toBe(true);
      else if (!source.startsWith('$')) expect(Object.keys(volumes)).toContain(source);
    }
    for (const secret of service.secrets ?? []) expect(Object.keys(secrets)).toContain(secret);
  });

  test.runIf(has('docker-compose'))('docker-compose accepts the file', () => {
    const env = { ...process.env, EXECPLANE_URL: 'https://execplane.example.com', EXECPLANE_WORKSPACE: '/srv/work' };
    execFileSync('docker-compose', ['--file', join(ROOT, file), 'config', '--quiet'], { env, stdio: 'pipe' });
  });
});

describe('deploy/compose/cluster', () => {
  const folder = join(ROOT, 'deploy/compose/cluster');
  const text = readFileSync(join(folder, 'docker-compose.yml'), 'utf8');
  const { services, secrets = {} } = parse(text, { merge: true }) as Compose;
  const servers = Object.keys(services).filter((name) => name.startsWith('server-'));

  test('Caddy knows each of several servers, and checks whether it is ready', () => {
    expect(servers.length).toBeGreaterThan(1);
    const caddyfile = readFileSync(join(folder, 'Caddyfile'), 'utf8');
    const upstreams = /reverse_proxy ([^{]+) \{/.exec(caddyfile)?.[1]?.split(' ');
    expect(upstreams).toEqual(servers.map((name) => `${name}:7411`));
    expect(caddyfile).toContain('health_uri /readyz');
  });

  test('every server has the same secrets, and its script reads those secrets', () => {
    const script = readFileSync(join(folder, 'server.sh'), 'utf8');
    for (const name of servers) expect(services[name]?.secrets).toEqual(Object.keys(secrets));
    const read = [...script.matchAll(/\/run\/secrets\/([\w-]+)/g)].map(([, name]) => name);
    const named = services['server-1']?.environment?.['EXECPLANE_SECRET_KEY_FILE']?.replace('/run/secrets/', '');
    expect([...read, named].toSorted()).toEqual(Object.keys(secrets).toSorted());
  });

  test('the page creates every secret file', () => {
    const page = readFileSync(join(ROOT, 'docs/cluster.md'), 'utf8');
    for (const name of Object.keys(secrets)) expect(page).toContain(`> ${name}`);
  });
});

describe('Dockerfile', () => {
  test.each(['server', 'agent'])('%s: an ordinary user, a healthcheck, and signals without a shell between', (name) => {
    const own = stage(name);
    expect(own.filter((line) => line.startsWith('USER '))).toEqual(['USER execplane']);
    expect(own.some((line) => /^HEALTHCHECK .* CMD \[/.test(line))).toBe(true);
    expect(own.some((line) => /^CMD \["execplane", /.test(line))).toBe(true);
  });

  test('every copied file exists, and .dockerignore lets it in', () => {
    const allowed = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('!'));
    const copied = [...stages.values()]
      .flat()
      .flatMap((line) => /^COPY (?!--from)(.*) \S+$/.exec(line)?.[1]?.split(' ') ?? []);
    expect(copied.length).toBeGreaterThan(4);
    for (const path of copied.filter((one) => one !== '.')) {
      expect(existsSync(join(ROOT, path)), path).toBe(true);
      expect(
        allowed.some((line) => path.startsWith(line.slice(1).replace(/\*+$/, ''))),
        path,
      ).toBe(true);
    }
  });

  test('the image needs no secret, and runs on any processor', () => {
    for (const line of dockerfile.match(/^(ARG|ENV) .*/gm) ?? []) expect(line).not.toMatch(SECRET);
    expect(dockerfile).not.toMatch(/--platform|amd64|arm64|x64/);
    expect(dockerfile).not.toMatch(/^ADD /m);
  });
});

test('every shell script of deploy/ parses', () => {
  const scripts = readdirSync(join(ROOT, 'deploy'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path, 'utf8').startsWith('#!/bin/sh'));
  expect(scripts.length).toBeGreaterThan(7);
  for (const script of scripts) execFileSync('sh', ['-n', script], { stdio: 'pipe' });
});
