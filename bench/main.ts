/**
 * `npm run bench -- [NAME …] [--tiny] [--rounds N]`: runs the named benches, or all, one after the other, each in a separate process.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const HERE = fileURLToPath(new URL('.', import.meta.url));
/** Files that benches share. */
const SHARED = ['main', 'requests', 'rounds', 'store-machine'];
/** The figures of bench/README.md, (a) to (h), then others. */
const FIRST = ['executions', 'creates', 'output', 'first-byte', 'agents', 'growth', 'memory', 'link-size', 'peers'];
const BENCHES = [...new Set([...FIRST, ...files()])];
/** Benches that take an hour: they run only by their name, or as a check with `--tiny`. */
const LONG = ['soak'];

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { tiny: { type: 'boolean', default: false }, rounds: { type: 'string' } },
});
const unknown = positionals.filter((name) => !BENCHES.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`no bench ${unknown.join(', ')}; there are ${BENCHES.join(', ')}\n`);
  process.exit(2);
}

const options = [
  ...(values.tiny ? ['--tiny'] : []),
  ...(values.rounds === undefined ? [] : ['--rounds', values.rounds]),
];
const failed: string[] = [];
const machine = {
  cpus: cpus().length,
  model: cpus()[0]?.model,
  kernel: release(),
  node: process.version,
  load: loadavg()[0],
};
process.stdout.write(`${JSON.stringify({ bench: 'machine', at: new Date().toISOString(), ...machine })}\n`);
const standard = values.tiny ? BENCHES : BENCHES.filter((name) => !LONG.includes(name));
for (const name of positionals.length > 0 ? positionals : standard) {
  const from = performance.now();
  const bench = spawn(process.execPath, [join(HERE, `${name}.ts`), ...options], {
    stdio: 'inherit',
  });
  const [code, signal] = await once(bench, 'exit');
  if (code !== 0) failed.push(name);
  const seconds = ((performance.now() - from) / 1000).toFixed(0);
  process.stdout.write(`  ${name}: ${code === 0 ? 'done' : `FAILED (${code ?? signal})`} in ${seconds} s\n`);
}
if (failed.length > 0) process.stderr.write(`\nfailed: ${failed.join(', ')}\n`);
process.exitCode = failed.length > 0 ? 1 : 0;

function files(): string[] {
  const names = readdirSync(HERE).filter((name) => name.endsWith('.ts'));
  return names.map((name) => basename(name, '.ts')).filter((name) => !SHARED.includes(name));
}
