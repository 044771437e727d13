import type { LinkProcess } from '../processes/link-pid-file.ts';

/** What is asked for, and where. */
export interface ChangeRequest {
  /** State directory of the agent. */
  dir: string;
  /** Folder or file with the version that is to come. */
  to: string;
  /** The link that runs now. */
  before: LinkProcess;
}

/** Another version in the place of the one that runs, ready to be put there. Making it has changed nothing yet. */
export interface Change {
  /** The version that comes. */
  version: string;
  /** Puts the new program in place, and has the link of the old one replaced. Rejects where that fails half-way. */
  apply(): Promise<void>;
  /** Puts back what was there, however far `apply` came, and has the link replaced again. */
  revert(): Promise<void>;
  /** Removes what was only needed on the way; `kept`: whether the new version stays. */
  dispose(kept: boolean): void;
}
