import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Release } from './release.ts';

export const ROLES = ['server', 'agent'] as const;
export type Role = (typeof ROLES)[number];

/** Makes execplane-ROLE-VERSION-linux-ARCH.tar.gz in `out`: the program, its unit, its settings, man page and completion. */
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
  cpSync(p.program, tree, { recursive: true });
  const share = (from: string, to: string) => {
    mkdirSync(join(tree, 'share'), { recursive: true });
    cpSync(join(p.root, from), join(tree, 'share', to));
  };
  share(`deploy/systemd/execplane-${p.role}.service`, `execplane-${p.role}.service`);
  share(`deploy/debian/${p.role}.env`, `${p.role}.env`);
  share('deploy/man/execplane.1', 'execplane.1');
  share('deploy/completion/execplane.bash', 'execplane.bash');
  if (p.role === 'agent') share('deploy/systemd/agent-stop', 'agent-stop');
  const times = ['--sort=name', `--mtime=@${p.release.epoch}`, '--owner=0', '--group=0', '--numeric-owner'];
  execFileSync('tar', [...times, '--use-compress-program=gzip -n', '-cf', join(p.out, file), '-C', p.work, name]);
  return file;
}
