/** `npm run test:computesdk`: installs, builds and tests integrations/computesdk against the built product. */
import { execFileSync } from 'node:child_process';
import { rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const directory = join(root, 'integrations/computesdk');
const run = (command: string, args: readonly string[]) =>
  execFileSync(command, args, { cwd: directory, stdio: 'inherit' });

run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
// The same layout as after an installation of both packages.
const link = join(directory, 'node_modules/execplane');
rmSync(link, { force: true });
symlinkSync(root, link);
run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.json']);
run(process.execPath, ['--test', 'test/provider.test.ts']);
