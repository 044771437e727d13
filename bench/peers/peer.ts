/** Another way to run commands elsewhere, measured in the same rounds. */
export interface Peer {
  name: string;
  /** Runs the command to its end; how many bytes of its stdout came. Rejects where it failed. */
  run: (command: readonly string[]) => Promise<number>;
  close: () => Promise<void>;
}
