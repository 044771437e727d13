/** Another system that runs commands remotely, measured in the same rounds. */
export interface Peer {
  name: string;
  /** Runs the command to its end. Returns the number of bytes of its stdout. Rejects if it failed. */
  run: (command: readonly string[]) => Promise<number>;
  close: () => Promise<void>;
}
