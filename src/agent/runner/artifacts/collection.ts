/** Collects the artifacts of one execution in the runner: starts a collector process and converts its messages to reports. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isArtifactName, MAX_ARTIFACTS } from '../../../core/artifact.ts';
import { parseJson } from '../../../core/json.ts';
import type { StartArtifacts } from '../../../core/launch-options.ts';
import type { ArtifactEndPayload, ArtifactPayload } from '../../../core/report.ts';
import { isCollectorNote } from '../../schemas/checks.ts';
import type { CollectorNote, CollectorTask } from '../../schemas/collector.ts';
import { CollectorDecoder, type CollectorMessage } from './collector-messages.ts';

export interface CollectionHost {
  report(kind: 'artifact' | 'artifact_data' | 'artifact_end', payload: Buffer): void;
  /** Settles when the journal has room. Without a connection to the server the journal fills up, and the collector waits. */
  room(): Promise<void>;
}

/** The directory of a command; `cwd` is relative to the home. Only the collector accesses it, because its file system may hang. */
export interface StartDirectory {
  home: string;
  cwd: string;
}

export interface CollectionPlan {
  /** The drop folder, if it is not empty. */
  folder?: string;
  startedIn: StartDirectory;
  request: StartArtifacts;
  /** The user that the command ran as, if that is not the agent's own user. */
  identity?: { uid: number; gid: number };
}

interface OpenArtifact {
  name: string;
  hash: Hash;
  bytes: number;
}

const COLLECTOR = fileURLToPath(new URL(`collector${extname(import.meta.url)}`, import.meta.url));
/** Maximum number of notes on files that are not kept. */
const MAX_NOTES = 20;

/** One run of a collector. Turns its messages into reports, within the limits of its plan. */
export class Collection {
  readonly #plan: CollectionPlan;
  readonly #host: CollectionHost;
  readonly #missing: string[] = [];
  #child: ChildProcess | undefined;
  #open: OpenArtifact | undefined;
  #taken = 0;
  #notes = 0;
  #done = false;
  #stoppedBecause: string | undefined;

  constructor(plan: CollectionPlan, host: CollectionHost) {
    this.#plan = plan;
    this.#host = host;
  }

  /** Collects, at most for the time of the plan. Settles with the declared paths that matched nothing. Does not reject. */
  async run(): Promise<readonly string[]> {
    const { timeout_ms: timeoutMs } = this.#plan.request;
    const timer = setTimeout(() => this.stop(`collecting took longer than ${timeoutMs} ms`), timeoutMs);
    try {
      await this.#read();
    } catch (error) {
      this.#stoppedBecause ??= (error as Error).message;
    } finally {
      clearTimeout(timer);
      // A collector that is done still removes the folder, which may contain many files. That is not awaited.
      if (!this.#done) this.#child?.kill('SIGKILL');
    }
    if (!this.#done) this.#skip(this.#open?.name ?? '', this.#stoppedBecause ?? 'the collector ended early');
    return this.#missing;
  }

  /** Whether the collector came to its end. It then removes the folder. */
  get done(): boolean {
    return this.#done;
  }

  /** Ends the collection. Artifacts collected before stay. */
  stop(reason: string): void {
    this.#stoppedBecause ??= reason;
    this.#child?.stdout?.destroy();
  }

  async #read(): Promise<void> {
    const { identity } = this.#plan;
    const child = spawn(process.execPath, [COLLECTOR], {
      cwd: '/',
      env: {},
      stdio: ['pipe', 'pipe', 'ignore'],
      ...identity,
    });
    this.#child = child;
    const failed = new Promise<never>((_resolve, reject) => {
      child.once('error', (error) => reject(new Error(`the collector cannot be started: ${error.message}`)));
    });
    child.stdin.on('error', () => {}); // The collector has exited: its stdout ends.
    child.stdin.end(JSON.stringify(this.#task()));
    await Promise.race([this.#readAll(child.stdout), failed]);
  }

  #task(): CollectorTask {
    const { folder, startedIn, request: wanted } = this.#plan;
    const declared = wanted.declared.map(({ path, name }) => ({ path, ...(name !== undefined && { name }) }));
    const limits = { maxFiles: MAX_ARTIFACTS, maxBytes: wanted.max_bytes };
    return { ...startedIn, declared, ...limits, ...(folder !== undefined && { folder }) };
  }

  async #readAll(stdout: AsyncIterable<Buffer>): Promise<void> {
    const decoder = new CollectorDecoder();
    for await (const chunk of stdout) {
      for (const message of decoder.push(chunk)) this.#take(message);
      if (this.#done) return;
      await this.#host.room();
    }
  }

  #take({ kind, payload }: CollectorMessage): void {
    if (kind === 'data') this.#data(payload);
    else if (kind === 'end') this.#end();
    else if (kind === 'done') this.#done = true;
    else this.#note(kind, noteOf(payload));
  }

  #note(kind: 'begin' | 'skipped' | 'missing', note: CollectorNote): void {
    const { name = '', reason = 'it was not collected', path } = note;
    if (kind === 'skipped') this.#skip(name, reason);
    else if (kind === 'missing') this.#missing.push(path ?? '');
    else if (!isArtifactName(name)) this.#skip('', 'its name cannot be the name of an artifact');
    else if (this.#taken < MAX_ARTIFACTS) this.#begin(name);
  }

  #begin(name: string): void {
    this.#taken += 1;
    this.#open = { name, hash: createHash('sha256'), bytes: 0 };
    this.#report('artifact', { name });
  }

  #data(piece: Buffer): void {
    const open = this.#open;
    if (open === undefined) return;
    open.bytes += piece.length;
    if (open.bytes > this.#plan.request.max_bytes) {
      this.#skip(open.name, `it is larger than ${this.#plan.request.max_bytes} bytes`);
      return;
    }
    open.hash.update(piece);
    this.#host.report('artifact_data', piece);
  }

  #end(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open !== undefined) this.#report('artifact_end', { name: open.name, sha256: open.hash.digest('hex') });
  }

  #skip(name: string, reason: string): void {
    const isOpen = this.#open !== undefined;
    this.#open = undefined;
    this.#notes += 1;
    if (!isOpen && this.#notes > MAX_NOTES) return;
    this.#report('artifact_end', { name, reason: this.#notes === MAX_NOTES ? `${reason}; so may be others` : reason });
  }

  #report(kind: 'artifact' | 'artifact_end', payload: ArtifactPayload | ArtifactEndPayload): void {
    this.#host.report(kind, Buffer.from(JSON.stringify(payload)));
  }
}

function noteOf(payload: Buffer): CollectorNote {
  const value = parseJson(payload.toString('utf8'));
  return isCollectorNote(value) ? value : {};
}
