/** What one agent, and all of them together, may take of the server (docs/PROTOCOL.md, "Limits and windows"). */

/** How long the connected agent has to give a sign of life when another one wants in. */
export const PROBE_MS = 5000;
export const AGENT_LIMITS = {
  /** Largest hello unless the server's setting says otherwise: one with 6,500 held executions of ordinary id length. */
  helloBytes: 512 * 1024,
  /** Largest control frame behind the hello. */
  frameBytes: 64 * 1024,
  /** Bytes of control frames, pings and pongs an agent may send, sustained. */
  frameBytesPerSecond: 256 * 1024,
  /** Largest message of records. */
  recordsBytes: 1024 * 1024,
  /** Control frames and pings an agent may send unless the setting says otherwise; twice as many at once. */
  framesPerSecond: 1000,
  /** What the welcome grants: bytes of records sent and not acknowledged, in all and per execution. */
  windowBytes: 8 * 1024 * 1024,
  executionWindowBytes: 4 * 1024 * 1024,
  /** Bytes of records that wait for the store before the socket is no longer read: per agent, and of all agents. */
  unwrittenBytes: 4 * 1024 * 1024,
  unwrittenBytesOfAll: 64 * 1024 * 1024,
  /** One appendReports takes at most this. */
  batchRecords: 1000,
  batchBytes: 2 * 1024 * 1024,
  /** Unsent bytes above which no further start is sent, and below which sending goes on. */
  unsentHigh: 4 * 1024 * 1024,
  unsentLow: 1024 * 1024,
  /** Unsent bytes above which an agent that goes on sending without reading is dropped. */
  unreadBytes: 32 * 1024 * 1024,
  /** Executions that may be on one machine at a time, whatever its agent would take: so many fit into its hello. */
  slots: 4096,
  /** Executions claimed, or woken, in one transaction. */
  claimBatch: 32,
  wakeBatch: 500,
  /** Agents reconciled at a time, and in line for it. */
  reconciling: 128,
  reconcileLine: 50_000,
  /** Live stdin on its way to one execution, and in one frame. */
  stdinInFlight: 256 * 1024,
  stdinPiece: 64 * 1024,
  /** Requests that may wait to write the stdin of one execution. */
  stdinLine: 16,
} as const;
