#!/usr/bin/env node
/** The `execplane` command. Nothing is imported before the runtime is known to be new enough for it. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 12)) {
  process.stderr.write(
    `execplane needs Node.js 22.12 or later; this is ${process.versions.node} (${process.execPath}).\n`,
  );
  process.exit(2);
}

const { run } = await import('./program.ts');
await run(process.argv.slice(2));

export {};
