import type { LinkProcess } from '../processes/link-pid-file.ts';

/** A requested upgrade. */
export interface ChangeRequest {
  /** State directory of the agent. */
  dir: string;
  /** Folder or file with the new version. */
  to: string;
  /** The link that runs now. */
  before: LinkProcess;
}

/** A prepared change to another version. Nothing is changed before `apply`. */
export interface Change {
  /** The new version. */
  version: string;
  /** Installs the new program and replaces the old link. Rejects if that fails half-way. */
  apply(): Promise<void>;
  /** Restores the old program after a complete or partial `apply`, and replaces the link again. */
  revert(): Promise<void>;
  /** Removes files that were needed during the change only. `kept`: whether the new version stays. */
  dispose(kept: boolean): void;
}
