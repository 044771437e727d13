import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The name of a release, and its machines. */
export interface Release {
  version: string;
  description: string;
  /** Architecture in Node's terms: `x64`, `arm64`. */
  arch: string;
  /** Seconds since the epoch: the time of every file in the packages, so that the same tree makes the same bytes. */
  epoch: number;
}

/** Reads the release from package.json and the last commit. */
export function readRelease(root: string): Release {
  const manifest = readManifest(root);
  const epoch = execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' }).trim();
  return { version: manifest.version, description: manifest.description, arch: process.arch, epoch: Number(epoch) };
}

export interface Manifest {
  name: string;
  version: string;
  description: string;
  license: string;
  type: string;
  bin: Record<string, string>;
}

/** The project's package.json. */
export function readManifest(root: string): Manifest {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
}
