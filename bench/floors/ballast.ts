/** Preloaded by a process to make it 300 MB larger. Every page is written. */
const ballast = Buffer.alloc(300_000_000, 1);
process.once('exit', () => ballast.length);
