/**
 * The loop of a coding agent: write a file, run a test, read its output, write the file again, download the report. Run it with the
 * settings of the CLI, EXECPLANE_URL and EXECPLANE_API_KEY, and the machine as its argument.
 */
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { Execplane } from 'execplane/client';

/** Stands for the model: it sees the output of the failed test, and answers with the next version. */
const VERSIONS = ['expr 6 + 7', 'expr 6 \\* 7'];
const TEST = `answer=$(sh answer.sh)
[ "$answer" = 42 ] || { echo "expected 42, got $answer" >&2; exit 1; }
echo "42 is right" | tee "$ARTIFACTS_DIR/report.txt"
`;

const client = new Execplane({
  url: process.env['EXECPLANE_URL'] ?? 'http://127.0.0.1:7411',
  apiKey: process.env['EXECPLANE_API_KEY'] ?? '',
});
const machine = client.machine(process.argv[2] ?? 'dm-build-1');
const { stdout } = await machine.run(['mktemp', '-d']);
const directory = stdout.trim();

await machine.files.write(`${directory}/test.sh`, TEST);
for (const [attempt, source] of VERSIONS.entries()) {
  await machine.files.write(`${directory}/answer.sh`, source);
  const result = await machine.run(['sh', 'test.sh'], { cwd: directory, timeoutMs: 10_000 });
  console.log(`attempt ${attempt + 1}: ${result.status}: ${(result.stdout + result.stderr).trim()}`);
  if (result.status !== 'succeeded') continue;
  await download(result.executionId);
  break;
}
await machine.files.remove(directory);

/** Saves what the test left in its ARTIFACTS_DIR, and compares the checksums. */
async function download(executionId: string): Promise<void> {
  for await (const artifact of machine.artifacts.list({ executionId })) {
    const bytes = Buffer.concat(await Array.fromAsync(machine.artifacts.content(artifact)));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (sha256 !== artifact.sha256) throw new Error(`${artifact.name} is damaged`);
    await writeFile(artifact.name, bytes);
    console.log(`saved ${artifact.name}: ${bytes.length} bytes`);
  }
}
