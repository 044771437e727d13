/** The parameters in the path of a page. A parameter is absent if the path does not have it. */
export interface PathParameters {
  machineId: string;
  executionId: string;
  terminalId: string;
  batchId: string;
  scheduleId: string;
}
