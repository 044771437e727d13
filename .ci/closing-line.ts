/** Prints what a run of the tests came to, from the JSON report of vitest: `N passed, N failed, N skipped`. */
import { readFileSync } from 'node:fs';

interface Report {
  success: boolean;
  testResults: { name: string; status: string; assertionResults: { status: string }[] }[];
}

const [path = ''] = process.argv.slice(2);
const count = { passed: 0, failed: 0, skipped: 0 };
const report = read(path);

for (const file of report?.testResults ?? []) {
  for (const { status } of file.assertionResults) {
    if (status === 'passed') count.passed += 1;
    else if (status === 'failed') count.failed += 1;
    else count.skipped += 1;
  }
  // A file that could not be loaded, or whose hooks failed, has no failed test of its own.
  if (file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed')) count.failed += 1;
}
// No report at all, an error outside of any test, no test: none of these is a success.
const sound = report?.success === true && count.passed > 0;
if (!sound && count.failed === 0) count.failed = 1;

console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
process.exitCode = count.failed === 0 ? 0 : 1;

function read(file: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch {
    return undefined;
  }
}
