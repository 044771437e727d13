/** Makes SQLite write a transaction to the write-ahead log in one system call instead of two for each page (native/wal.c). */
import { existsSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { prebuiltPath } from '../../../node/native/prebuilt.ts';

let loaded: boolean | undefined;

/**
 * Loads the extension once for the whole process: databases that are opened after this use it. Returns whether it is loaded. Platforms that
 * have no build of it keep SQLite's own way of writing, which makes the same files.
 */
export function joinLogWrites(extension: string = prebuiltPath('execplane-wal.so')): boolean {
  loaded ??= existsSync(extension) && load(extension);
  return loaded;
}

function load(extension: string): boolean {
  const db = new Sqlite(':memory:');
  try {
    db.loadExtension(extension);
    return true;
  } catch {
    return false; // Built for another C library, or without what loads extensions.
  } finally {
    db.close();
  }
}
