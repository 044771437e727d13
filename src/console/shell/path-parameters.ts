/** What the path of a page may name; absent from a page whose path does not. */
export interface PathParameters {
  machineId: string;
  executionId: string;
  terminalId: string;
}
