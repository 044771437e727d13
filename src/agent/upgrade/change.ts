import type { LinkProcess } from '../processes/link-pid-file.ts';

/** The upgrade that is asked for. */
export interface ChangeRequest {
  /** State directory of the agent. */
  dir: string;
  /** Folder or file with the new version. */
  to: string;
  /** The link that runs now. */
  before: LinkProcess;
}

/** Another version, ready to be put in the place of the present one. Making it has changed nothing yet. */
export interface Change {
  /** The new version. */
  version: string;
  /** Puts the new program in place, and has the old link replaced. Rejects if that fails half-way. */
  apply(): Promise<void>;
  /** Puts the old program back, however far `apply` came, and has the link replaced again. */
  revert(): Promise<void>;
  /** Removes what was needed only during the change. `kept`: whether the new version stays. */
  dispose(kept: boolean): void;
}
