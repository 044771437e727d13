/**
 * The collector: a separate process that reads the files a command has left and writes them to its stdout. It runs as the command's user,
 * so that it can read nothing that the command could not. Its task is JSON on stdin.
 */
import { closeSync, existsSync, fstatSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { isArtifactPattern } from '../../../core/artifact.ts';
import { parseJson } from '../../../core/json.ts';
import { isCollectorTask } from '../../schemas/checks.ts';
import type { CollectorTask } from '../../schemas/collector.ts';
import { encodeMessage, MAX_PAYLOAD_BYTES } from './collector-messages.ts';
import { FileWalk, type Found } from './file-walk.ts';

const STDIN = 0;
const STDOUT = 1;

type Send = (kind: Parameters<typeof encodeMessage>[0], payload?: object) => void;

function send(kind: Parameters<typeof encodeMessage>[0], payload: object = {}): void {
  writeAll(encodeMessage(kind, Buffer.from(JSON.stringify(payload))));
}

function writeAll(bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(STDOUT, bytes, at);
}

/** Returns the name of a file that a declared path matches, if the request names it: below `name` if the path may match several files. */
function renamed(found: string, path: string, name: string): string {
  const declared = path.replace(/\/$/, '').replace(/^(\.\/)+/, '');
  if (found === declared) return name;
  const folder = /[*?]/.test(declared) ? declared.slice(0, declared.search(/[^/]*[*?]/)) : `${declared}/`;
  return `${name}/${found.slice(folder.length)}`;
}

class Collector {
  readonly #task: CollectorTask;
  readonly #send: Send;
  /** The names of the artifacts so far, and the file of each one. */
  readonly #names = new Map<string, string>();
  readonly #buffer = Buffer.allocUnsafe(MAX_PAYLOAD_BYTES);

  constructor(task: CollectorTask, sendMessage: Send) {
    this.#task = task;
    this.#send = sendMessage;
  }

  run(): void {
    const { folder, declared } = this.#task;
    if (folder !== undefined) this.#take(folder, new FileWalk().all(folder), (path) => path);
    const cwd = declared.length === 0 ? '' : this.#workingDirectory();
    for (const { path, name } of declared) {
      if (!isArtifactPattern(path)) {
        this.#skip(path, 'it is not a pattern of paths under the working directory');
        continue;
      }
      const nameOf = (found: string) => (name === undefined ? found : renamed(found, path, name));
      const files = this.#take(cwd, new FileWalk().matching(cwd, path), nameOf);
      if (files === 0) this.#send('missing', { path });
    }
    this.#send('done');
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }

  /** The directory in which the command was started. */
  #workingDirectory(): string {
    const { home, cwd } = this.#task;
    return resolve(existsSync(home) ? home : '/', cwd);
  }

  /** Collects the files that were found in `folder`. Returns their number, including those that are not kept. */
  #take(folder: string, found: Generator<Found>, nameOf: (path: string) => string): number {
    let files = 0;
    try {
      for (const entry of found) {
        const name = nameOf(entry.path);
        if ('reason' in entry) this.#skip(name, entry.reason);
        else {
          files += 1;
          const file = resolve(folder, entry.path);
          const holder = this.#names.get(name);
          if (holder !== undefined) {
            if (holder !== file) this.#skip(name, 'another artifact has this name');
            continue;
          }
          if (this.#names.size === this.#task.maxFiles) {
            this.#skip(name, `only the first ${this.#task.maxFiles} files are kept`);
            break;
          }
          this.#names.set(name, file);
          this.#copy(name, entry.open);
        }
      }
    } catch (error) {
      this.#skip('', (error as Error).message);
    }
    return files;
  }

  #copy(name: string, open: () => number): void {
    let descriptor: number;
    try {
      descriptor = open();
    } catch (error) {
      this.#skip(name, (error as Error).message);
      return;
    }
    try {
      const stats = fstatSync(descriptor);
      if (!stats.isFile()) this.#skip(name, 'it is not a regular file');
      else if (stats.size > this.#task.maxBytes) this.#skip(name, `it is larger than ${this.#task.maxBytes} bytes`);
      else this.#read(name, descriptor);
    } finally {
      closeSync(descriptor);
    }
  }

  #read(name: string, descriptor: number): void {
    this.#send('begin', { name });
    let left = this.#task.maxBytes;
    for (;;) {
      const bytes = readSync(descriptor, this.#buffer);
      if (bytes === 0) break;
      left -= bytes;
      if (left < 0) {
        this.#skip(name, `it is larger than ${this.#task.maxBytes} bytes`);
        return;
      }
      writeAll(encodeMessage('data', this.#buffer.subarray(0, bytes)));
    }
    this.#send('end');
  }

  #skip(name: string, reason: string): void {
    this.#send('skipped', { name, reason });
  }
}

const task = parseJson(readFileSync(STDIN, 'utf8'));
if (!isCollectorTask(task)) throw new TypeError('not a task for a collector');
new Collector(task, send).run();
