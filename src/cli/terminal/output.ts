/** Whoever read our stdout or stderr has gone away. */
export class ReaderGoneError extends Error {
  override readonly name = 'ReaderGoneError';
}

/** Writes bytes as they are to stdout or stderr; settles when they are taken. Throws ReaderGoneError. */
export function writeOutput(stream: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process[stream].write(bytes, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(new ReaderGoneError(`${stream}: ${error.message}`, { cause: error }));
    });
  });
}

/** A reader that leaves early (as in `… | head`) is told by `writeOutput` and is no fault of anybody's. */
export function expectReadersToLeave(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
}
