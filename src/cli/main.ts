#!/usr/bin/env node
/** The `execplane` command. It imports nothing before it has checked the version of Node. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
// Older versions answer an HTTP/2 upgrade offer with 404, and some crash with the database driver. 23 is out of support.
const isSupported = major === 22 ? minor >= 21 : major === 24 ? minor >= 9 : major > 24;
if (!isSupported) {
  process.stderr.write(
    `execplane needs Node.js 22.21 or later of 22, or 24.9 or later; this is ${process.versions.node} (${process.execPath}).\n`,
  );
  process.exit(2);
}

const { run } = await import('./commands/program.ts');
await run(process.argv.slice(2));

export {};
