/**
 * Prints the result of all test runs from the JSON reports of vitest: each failure with its message, then
 * `N passed, N failed, N skipped`, summed over all reports. It repeats the failures because only the end of a long log may be
 * kept. A report that is missing, or of a run without a test, counts as a failure.
 */
import { readFileSync } from 'node:fs';
import { basename, relative } from 'node:path';

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

const count = { passed: 0, failed: 0, skipped: 0 };
const paths = process.argv.slice(2);
if (paths.length === 0) count.failed += 1;
for (const path of paths) add(path, read(path));

console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
process.exitCode = count.failed === 0 ? 0 : 1;

function add(path: string, report: Report | undefined): void {
  const before = { ...count };
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
  const sound = report?.success === true && count.passed > before.passed;
  if (sound || count.failed > before.failed) return;
  count.failed += 1;
  tell(
    `the run as a whole (${basename(path)})`,
    report === undefined ? 'no report was written' : 'an error outside of any test; see above',
  );
}

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
