/**
 * Runs client generators and linters on the OpenAPI document of a server. The generated clients are type-checked together with a
 * program that uses them, and the linters must have no findings. `npm run test:openapi` installs the tools and runs this.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runningServer } from '../helpers/running-server.ts';

const HERE = import.meta.dirname;
const GENERATED = join(HERE, 'generated');
const DOCUMENT = join(GENERATED, 'openapi.json');

const TOOLS: readonly (readonly [name: string, args: readonly string[]])[] = [
  ['openapi-typescript', [DOCUMENT, '--output', join(GENERATED, 'openapi-typescript.ts')]],
  ['openapi-ts', ['--input', DOCUMENT, '--output', join(GENERATED, 'hey-api'), '--client', '@hey-api/client-fetch']],
  ['orval', ['--input', DOCUMENT, '--output', join(GENERATED, 'orval.ts'), '--client', 'fetch']],
  ['spectral', ['lint', '--ruleset', join(HERE, 'spectral.yaml'), '--fail-severity', 'hint', DOCUMENT]],
  ['redocly', ['lint', '--extends', 'recommended', '--max-problems', '100', '--format', 'json', DOCUMENT]],
];

async function fetchDocument(): Promise<string> {
  await using server = await runningServer();
  const { bytes } = await server.client.get('/openapi.json');
  return bytes.toString();
}

/** Runs a program and returns its stdout. Throws with its whole output if it fails. */
function output(file: string, args: readonly string[]): string {
  try {
    return execFileSync(file, args, { cwd: HERE, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${file} ${args.join(' ')}\n${stdout}${stderr}`, { cause: error });
  }
}

const clear = (): void => rmSync(GENERATED, { recursive: true, force: true });
process.once('exit', clear);
clear();
mkdirSync(GENERATED);
writeFileSync(DOCUMENT, await fetchDocument());
for (const [name, args] of TOOLS) {
  const printed = output(join(HERE, 'node_modules/.bin', name), args);
  // Redocly exits with 0 despite warnings.
  if (name === 'redocly' && /"(warnings|errors)": [1-9]/.test(printed)) throw new Error(printed);
  process.stdout.write(`${name}: no findings\n`);
}
output(join(HERE, '../../node_modules/.bin/tsc'), ['--project', join(HERE, 'tsconfig.json')]);
process.stdout.write('generated clients: type-checked with a program that uses them\n');
