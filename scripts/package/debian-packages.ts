/**
 * The three Debian packages. The program is in one of its own, so that server and agent can stand on the same machine,
 * share 130 MB, and are always of one version; the other two hold what makes it a service.
 */
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { bashCompletion } from './completion.ts';
import { buildDeb, type Deb, type DebFile } from './deb.ts';
import { manPage } from './man-page.ts';
import type { Release } from './release.ts';
import { ROLES, type Role } from './tarball.ts';

const LONG =
  'Execplane runs commands on machines over HTTP: a control plane keeps executions and\ntheir output, an agent on each machine dials out to it and runs them.';

interface Sources {
  root: string;
  program: string;
  work: string;
  out: string;
  release: Release;
}

/** Builds them in `out`; returns their file names. */
export function debianPackages(p: Sources): string[] {
  return [programPackage(p), ...ROLES.map((role) => rolePackage(p, role))].map((deb) => buildDeb(deb, p));
}

function programPackage({ root, program, work, release }: Sources): Deb {
  const tree = join(work, 'execplane');
  mkdirSync(join(tree, 'usr/bin'), { recursive: true });
  symlinkSync('../lib/execplane/bin/execplane', join(tree, 'usr/bin/execplane'));
  return {
    name: 'execplane',
    summary: 'run commands on machines over HTTP (program and CLI)',
    description: `${LONG}\n.\nThis package holds the program with the Node runtime that it was tested with. To run it as\na service, install execplane-server or execplane-agent as well.`,
    depends: 'libc6 (>= 2.28), libstdc++6 (>= 6), libgcc-s1',
    folders: [{ from: program, to: 'usr/lib/execplane' }],
    files: [
      ...documents(root, 'execplane'),
      { source: { text: manPage(root, release) }, to: '/usr/share/man/man1/execplane.1.gz', mode: 0o644, gzip: true },
      {
        source: { text: bashCompletion(program) },
        to: '/usr/share/bash-completion/completions/execplane',
        mode: 0o644,
      },
    ],
  };
}

function rolePackage({ root, release }: Sources, role: Role): Deb {
  const name = `execplane-${role}`;
  const what = role === 'server' ? 'control plane as a service' : 'agent as a service';
  return {
    name,
    summary: `run commands on machines over HTTP (${what})`,
    description: `${LONG}\n.\nThis package holds the systemd unit, the settings and the user of the ${role}.`,
    depends: `execplane (= ${release.version}), adduser, init-system-helpers (>= 1.52)`,
    recommends: 'systemd (>= 252)',
    scripts: join(root, 'deploy/debian', name),
    files: [
      ...documents(root, name),
      {
        source: { path: join(root, `deploy/systemd/${name}.service`) },
        to: `/lib/systemd/system/${name}.service`,
        mode: 0o644,
      },
      {
        source: { path: join(root, `deploy/debian/${role}.env`) },
        to: `/etc/execplane/${role}.env`,
        mode: 0o640,
        conffile: true,
      },
      ...(role === 'agent' ? [agentStop(root)] : []),
    ],
  };
}

function agentStop(root: string): DebFile {
  return {
    source: { path: join(root, 'deploy/systemd/agent-stop') },
    to: '/usr/lib/execplane/systemd/agent-stop',
    mode: 0o755,
  };
}

function documents(root: string, name: string): DebFile[] {
  const folder = `/usr/share/doc/${name}`;
  return [
    { source: { path: join(root, 'deploy/debian/copyright') }, to: `${folder}/copyright`, mode: 0o644 },
    { source: { path: join(root, 'CHANGELOG.md') }, to: `${folder}/changelog.gz`, mode: 0o644, gzip: true },
  ];
}
