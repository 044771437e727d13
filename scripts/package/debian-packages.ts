/**
 * Builds the three Debian packages. The program has its own package, so that server and agent on one machine share its 130 MB and have the
 * same version. The other two packages install it as a service.
 */
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { bashCompletion } from './completion.ts';
import { buildDeb, type Deb, type DebFile, debianChangelog, debianVersion } from './deb.ts';
import { manPage } from './man-page.ts';
import type { Release } from './release.ts';
import { providersOf, ROLES, type Role, UNIT_PROGRAMS } from './tarball.ts';

const LONG =
  'Execplane runs commands on machines over HTTP: a control plane keeps\nexecutions and their output, an agent on each machine dials out to it and\nruns them.';

interface Sources {
  root: string;
  program: string;
  work: string;
  out: string;
  release: Release;
}

/** Builds the packages in `out`. Returns their file names. */
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
    description: `${LONG}\n.\nThis package holds the program with the Node runtime that it was tested\nwith. To run it as a service, install execplane-server or execplane-agent\nas well.`,
    depends: 'libc6 (>= 2.28), libstdc++6 (>= 6), libgcc-s1',
    folders: [{ from: program, to: 'usr/lib/execplane' }],
    files: [
      ...documents(root, 'execplane', release),
      { source: { text: manPage(root, release) }, to: '/usr/share/man/man1/execplane.1.gz', mode: 0o644, gzip: true },
      {
        source: { text: bashCompletion(program) },
        to: '/usr/share/bash-completion/completions/execplane',
        mode: 0o644,
      },
    ],
  };
}

/** The package of a role: the files that make the program a service. */
export function rolePackage({ root, release }: Pick<Sources, 'root' | 'release'>, role: Role): Deb {
  const name = `execplane-${role}`;
  const description = role === 'server' ? 'control plane as a service' : 'agent as a service';
  return {
    name,
    summary: `run commands on machines over HTTP (${description})`,
    description: `${LONG}\n.\nThis package holds the systemd unit, the settings and the user of the\n${role}.`,
    depends: `execplane (= ${debianVersion(release)}), adduser, init-system-helpers (>= 1.52)`,
    recommends: 'systemd (>= 252)',
    // The providers parse their requests with jq.
    ...(role === 'server' && { suggests: 'jq' }),
    scripts: join(root, 'deploy/debian', name),
    files: [
      ...documents(root, name, release),
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
      ...UNIT_PROGRAMS[role].map((program) => unitProgram(root, program)),
      ...providersOf(root, role).map((provider) => ({
        source: { path: join(root, 'deploy/providers', provider) },
        to: `/usr/share/execplane/providers/${provider}`,
        mode: 0o755,
      })),
    ],
  };
}

function unitProgram(root: string, program: string): DebFile {
  const source = { path: join(root, 'deploy/systemd', program) };
  return { source, to: `/usr/lib/execplane/systemd/${program}`, mode: program.endsWith('.js') ? 0o644 : 0o755 };
}

function documents(root: string, name: string, release: Release): DebFile[] {
  const file = (to: string, source: DebFile['source'], gzip?: true): DebFile => ({
    source,
    to: `/usr/share/${to}`,
    mode: 0o644,
    ...(gzip && { gzip }),
  });
  return [
    file(`doc/${name}/copyright`, { path: join(root, 'deploy/debian/copyright') }),
    file(`doc/${name}/changelog.gz`, { path: join(root, 'CHANGELOG.md') }, true),
    file(`doc/${name}/changelog.Debian.gz`, { text: debianChangelog(release) }, true),
    file(`lintian/overrides/${name}`, { path: join(root, 'deploy/debian', name, 'lintian-overrides') }),
  ];
}
