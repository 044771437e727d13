/** Reads and writes files of a sandbox by the client library; no name or content becomes part of a shell line. */
import type { FileEntry } from '@computesdk/provider';
import { FileError, type FileOptions } from 'execplane/client';
import type { Sandbox } from './sandbox.ts';

export const filesystem = {
  async readFile(sandbox: Sandbox, path: string): Promise<string> {
    return new TextDecoder().decode(await sandbox.machine.files.read(path, optionsOf(sandbox)));
  },

  async writeFile(sandbox: Sandbox, path: string, content: string): Promise<void> {
    await sandbox.machine.files.write(path, content, optionsOf(sandbox));
  },

  async readdir(sandbox: Sandbox, path: string): Promise<FileEntry[]> {
    const entries = await sandbox.machine.files.list(path, optionsOf(sandbox));
    return entries.map(({ name, type, size, modifiedAt }) => ({
      name,
      type: type === 'directory' ? 'directory' : 'file',
      size,
      modified: new Date(modifiedAt),
    }));
  },

  async mkdir(sandbox: Sandbox, path: string): Promise<void> {
    const { exitCode, stderr } = await sandbox.machine.run(['mkdir', '-p', '--', path], optionsOf(sandbox));
    if (exitCode !== 0) throw new Error(`${path}: ${stderr.trim()}`);
  },

  async exists(sandbox: Sandbox, path: string): Promise<boolean> {
    try {
      await sandbox.machine.files.stat(path, optionsOf(sandbox));
      return true;
    } catch (error) {
      if (error instanceof FileError) return false;
      throw error;
    }
  },

  /** A path that does not exist is no error, as with `rm -rf`. */
  async remove(sandbox: Sandbox, path: string): Promise<void> {
    const isThere = await filesystem.exists(sandbox, path);
    if (isThere) await sandbox.machine.files.remove(path, optionsOf(sandbox));
  },
};

function optionsOf({ user }: Sandbox): FileOptions {
  return user === undefined ? {} : { user };
}
