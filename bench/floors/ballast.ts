/** Preloaded into a process to make it as large as one with much data: 300 MB, every page of it touched. */
const ballast = Buffer.alloc(300_000_000, 1);
process.once('exit', () => ballast.length);
