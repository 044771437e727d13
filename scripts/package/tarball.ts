import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bashCompletion } from './completion.ts';
import { manPage } from './man-page.ts';
import type { Release } from './release.ts';

export const ROLES = ['server', 'agent'] as const;
export type Role = (typeof ROLES)[number];

/** Programs in deploy/systemd that the unit of each role calls. */
export const UNIT_PROGRAMS: Record<Role, readonly string[]> = { server: ['server-ready.js'], agent: ['agent-stop'] };

/** Returns the providers in deploy/providers that are part of a server: programs without a file extension. */
export function providersOf(root: string, role: Role): string[] {
  return role === 'server' ? readdirSync(join(root, 'deploy/providers')).sort() : [];
}

/** Makes execplane-ROLE-VERSION-linux-ARCH.tar.gz in `out`: the program, its unit, its settings, providers, man page and completion. */
export function makeTarball(p: {
  root: string;
  program: string;
  work: string;
  out: string;
  release: Release;
  role: Role;
}): string {
  const name = `execplane-${p.role}-${p.release.version}`;
  const file = `${name}-${process.platform}-${p.release.arch}.tar.gz`;
  const tree = join(p.work, name);
  cpSync(p.program, tree, { recursive: true, verbatimSymlinks: true });
  mkdirSync(join(tree, 'share'));
  const share = (from: string, to: string) => cpSync(join(p.root, from), join(tree, 'share', to));
  share(`deploy/systemd/execplane-${p.role}.service`, `execplane-${p.role}.service`);
  share(`deploy/debian/${p.role}.env`, `${p.role}.env`);
  writeFileSync(join(tree, 'share/execplane.1'), manPage(p.root, p.release));
  writeFileSync(join(tree, 'share/execplane.bash'), bashCompletion(p.program));
  for (const program of UNIT_PROGRAMS[p.role]) share(`deploy/systemd/${program}`, program);
  for (const provider of providersOf(p.root, p.role)) share(`deploy/providers/${provider}`, `providers/${provider}`);
  const times = ['--sort=name', `--mtime=@${p.release.epoch}`, '--owner=0', '--group=0', '--numeric-owner'];
  execFileSync('tar', [...times, '--use-compress-program=gzip -n', '-cf', join(p.out, file), '-C', p.work, name]);
  return file;
}
