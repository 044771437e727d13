/**
 * The loop of a coding agent: write a file, run it, read the errors, write it again. Run it with the settings of the CLI: EXECPLANE_URL,
 * EXECPLANE_API_KEY, and the machine as its argument.
 */
import { Execplane } from 'execplane/client';

/** Stands for the model: it sees the failure, and answers with the next version. */
const VERSIONS = ['test "$(expr 6 + 7)" = 42 && echo passed', 'test "$(expr 6 \\* 7)" = 42 && echo passed'];

const client = new Execplane({
  url: process.env['EXECPLANE_URL'] ?? 'http://127.0.0.1:7411',
  apiKey: process.env['EXECPLANE_API_KEY'] ?? '',
});
const machine = client.machine(process.argv[2] ?? 'dm-build-1');
const { stdout } = await machine.run(['mktemp', '-d']);
const directory = stdout.trim();

for (const [attempt, source] of VERSIONS.entries()) {
  await machine.files.write(`${directory}/test.sh`, source);
  const result = await machine.run(['sh', 'test.sh'], { cwd: directory, timeoutMs: 10_000 });
  console.log(`attempt ${attempt + 1}: ${result.status} ${result.stdout.trim()}`);
  if (result.status === 'succeeded') break;
}
await machine.files.remove(directory);
