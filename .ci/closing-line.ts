/**
 * Prints what a run of the tests came to, from the JSON report of vitest: each failure with its message, then
 * `N passed, N failed, N skipped`. The failures are said once more here, as only the end of a long log may be kept.
 */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

interface Report {
  success: boolean;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { status: string; fullName: string; failureMessages: string[] | null }[];
  }[];
}

/** How much of a failure's message is shown, in characters: a diff of two long outputs would bury the others. */
const MESSAGE_LIMIT = 2_000;

const [path = ''] = process.argv.slice(2);
const count = { passed: 0, failed: 0, skipped: 0 };
const report = read(path);

for (const file of report?.testResults ?? []) {
  const where = relative(process.cwd(), file.name);
  let failedHere = 0;
  for (const { status, fullName, failureMessages } of file.assertionResults) {
    if (status === 'passed') count.passed += 1;
    else if (status === 'failed') {
      failedHere += 1;
      tell(`${where} > ${fullName}`, failureMessages?.join('\n') ?? '');
    } else count.skipped += 1;
  }
  // A file that could not be loaded, or whose hooks failed, has no failed test of its own.
  if (file.status === 'failed' && failedHere === 0) {
    failedHere = 1;
    tell(where, file.message);
  }
  count.failed += failedHere;
}
// No report at all, an error outside of any test, no test: none of these is a success.
const sound = report?.success === true && count.passed > 0;
if (!sound && count.failed === 0) {
  count.failed = 1;
  tell(
    'the run as a whole',
    report === undefined ? 'no report was written' : 'an error outside of any test; see above',
  );
}

console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
process.exitCode = count.failed === 0 ? 0 : 1;

function tell(what: string, message: string): void {
  console.log(`FAILED ${what}\n${message.slice(0, MESSAGE_LIMIT)}\n`);
}

function read(file: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch {
    return undefined;
  }
}
