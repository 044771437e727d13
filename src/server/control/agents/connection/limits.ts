/** Limits of each agent, and of all agents together (docs/PROTOCOL.md, "Limits and windows"). */

/** Time within which a connected agent must send a byte when another instance claims its machine, ms. */
export const PROBE_MS = 5000;
export const AGENT_LIMITS = {
  /** Largest hello unless the server's setting says otherwise: one with 6,500 held executions of ordinary id length. */
  helloBytes: 512 * 1024,
  /** Largest control frame after the hello. */
  frameBytes: 64 * 1024,
  /** Bytes of control frames, pings and pongs that an agent may send each second, sustained. */
  frameBytesPerSecond: 256 * 1024,
  /** Largest message of records. */
  recordsBytes: 1024 * 1024,
  /** Control frames and pings that an agent may send each second unless the setting says otherwise, and twice as many at once. */
  framesPerSecond: 1000,
  /** Windows granted in the welcome: bytes of records sent and not acknowledged, in total and per execution. */
  windowBytes: 16 * 1024 * 1024,
  executionWindowBytes: 8 * 1024 * 1024,
  /** Bytes of records that wait for the store before the socket is no longer read: per agent, and of all agents. */
  unwrittenBytes: 4 * 1024 * 1024,
  unwrittenBytesOfAll: 64 * 1024 * 1024,
  /** Maximum bytes and number of records in one appendReports. */
  batchRecords: 1000,
  batchBytes: 2 * 1024 * 1024,
  /** Unsent bytes above which no further start is sent, and below which sending continues. */
  unsentHigh: 4 * 1024 * 1024,
  unsentLow: 1024 * 1024,
  /** Unsent bytes above which an agent that sends and does not read is disconnected. */
  unreadBytes: 32 * 1024 * 1024,
  /** Maximum number of executions on one machine at a time, whatever its agent accepts: this many fit into its hello. */
  slots: 4096,
  /** Executions claimed, or woken, in one transaction. */
  claimBatch: 32,
  wakeBatch: 500,
  /** Agents in reconciliation at a time, and agents that wait for it. */
  reconciling: 128,
  reconcileQueue: 50_000,
  /** Bytes of live stdin on their way to one execution, and in one frame. Agents of all versions hold this many that a command has not read. */
  stdinInFlight: 1024 * 1024,
  stdinPiece: 256 * 1024,
  /** Requests that may wait to write the stdin of one execution. */
  stdinQueue: 16,
} as const;
