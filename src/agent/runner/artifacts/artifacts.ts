/** The artifacts of one execution: its drop folder while it runs, and the collection at its end. */
import { rm } from 'node:fs/promises';
import type { StartArtifacts } from '../../../core/launch-options.ts';
import { Collection, type CollectionHost, type CollectionPlan, type StartDirectory } from './collection.ts';
import type { DropFolder, DropFolders } from './drop-folder.ts';

export interface ArtifactOwner {
  uid: number;
  gid: number;
  /** Whether the command's user is the user of the agent. */
  isAgent: boolean;
}

/** The artifacts of one execution, from its start to the end of the collection. */
export class Artifacts {
  readonly #folders: DropFolders;
  /** Absent if the disk had no room for a drop folder. */
  readonly #folder: DropFolder | undefined;
  readonly #request: StartArtifacts;
  readonly #owner: ArtifactOwner;
  #collection: Collection | undefined;

  constructor(request: StartArtifacts, owner: ArtifactOwner, folders: DropFolders) {
    this.#request = request;
    this.#owner = owner;
    this.#folders = folders;
    this.#folder = folders.take(owner);
  }

  /** The path of the drop folder, if there is one. */
  get folder(): string | undefined {
    return this.#folder?.path;
  }

  /** Whether a collection is under way. */
  get collecting(): boolean {
    return this.#collection !== undefined;
  }

  /** Collects the artifacts. Settles with the declared path that must match a file and does not, if there is one. Does not reject. */
  async collect(startedIn: StartDirectory, host: CollectionHost): Promise<string | undefined> {
    const { folder } = this;
    const isEmpty = folder === undefined || this.#giveBackFolder();
    if (isEmpty && this.#request.declared.length === 0) return undefined;
    const { isAgent, ...identity } = this.#owner;
    const plan: CollectionPlan = { startedIn, request: this.#request, ...(isAgent ? {} : { identity }) };
    this.#collection = new Collection(isEmpty ? plan : { ...plan, folder }, host);
    const missing = await this.#collection.run();
    // The folder of another user is not removed: symbolic links in it could lead root to other files.
    if (!isEmpty && isAgent && !this.#collection.done)
      await rm(folder, { recursive: true, force: true }).catch(() => {});
    this.#collection = undefined;
    const required = this.#request.declared.filter((file) => file.if_missing === 'fail').map(({ path }) => path);
    return required.find((path) => missing.includes(path));
  }

  /** Ends a collection that is under way. */
  stop(reason: string): void {
    this.#collection?.stop(reason);
  }

  /** Removes the folder of a command that never ran. */
  discard(): void {
    this.#giveBackFolder();
  }

  /** Removes the drop folder if it is empty. Returns false if it is not. */
  #giveBackFolder(): boolean {
    return this.#folder === undefined || this.#folders.giveBack(this.#folder);
  }
}
