/** The files of `native/prebuilt`: the programs in C that are shipped for each platform. */
import { fileURLToPath } from 'node:url';

/** Returns the path of a program for this platform; it may not exist. src/ and dist/ are equally deep in the package. */
export function prebuiltPath(name: 'execplane-spawner' | 'execplane-memory.node' | 'execplane-wal.so'): string {
  return fileURLToPath(
    new URL(`../../../native/prebuilt/${process.platform}-${process.arch}/${name}`, import.meta.url),
  );
}
