/** Frames between this process and the native spawner (docs/spawner-protocol.md): encodes commands, parses events. */
import type { SpawnEnd, SpawnRequest, TerminalSize, Usage } from './spawner.ts';

export const PROTOCOL_VERSION = 4;

const COMMAND = {
  spawn: 1,
  stdin: 2,
  stdinClose: 3,
  signal: 4,
  pause: 5,
  resume: 6,
  release: 7,
  shutdown: 8,
  approve: 9,
  resize: 10,
  abort: 11,
} as const;
export const EVENT = {
  hello: 64,
  started: 65,
  failed: 66,
  stdout: 67,
  stderr: 68,
  count: 69,
  stdinTaken: 70,
  exited: 71,
  resolved: 72,
  stdoutTail: 73,
  stderrTail: 74,
} as const;

/** u32 length of the rest, u8 op, u32 handle. */
const HEADER_BYTES = 9;
/** The flags of a spawn command. */
const FLAG = { identity: 1, stdinPipe: 2, terminal: 4, ask: 8 } as const;
/** keep, tail, flags, columns, rows, uid, gid, count of groups. */
const SPAWN_HEAD_BYTES = 29;
const NOTHING = Buffer.alloc(0);

/** No kernel accepts more than 6 MiB of arguments and environment. */
export const MAX_SPAWN_BYTES = 8 * 1024 * 1024;

function frame(op: number, handle: number, payloadBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + payloadBytes);
  bytes.writeUInt32LE(HEADER_BYTES - 4 + payloadBytes, 0);
  bytes.writeUInt8(op, 4);
  bytes.writeUInt32LE(handle, 5);
  return bytes;
}

/** Encodes a command without a payload. */
export function encodePlain(
  command: 'pause' | 'resume' | 'release' | 'shutdown' | 'approve' | 'abort',
  handle: number,
): Buffer {
  return frame(COMMAND[command], handle, 0);
}

/** Encodes SIGNAL: sends `signal` (its number) to the process group of `handle`. */
export function encodeSignal(handle: number, signal: number): Buffer {
  const bytes = frame(COMMAND.signal, handle, 4);
  bytes.writeUInt32LE(signal, HEADER_BYTES);
  return bytes;
}

/** Encodes RESIZE: sets the size of the terminal of `handle`, in characters. */
export function encodeResize(handle: number, { width, height }: TerminalSize): Buffer {
  const bytes = frame(COMMAND.resize, handle, 4);
  bytes.writeUInt16LE(width, HEADER_BYTES);
  bytes.writeUInt16LE(height, HEADER_BYTES + 2);
  return bytes;
}

/** Returns the frame in two pieces, so that the bytes are not copied. */
export function encodeStdin(handle: number, bytes: Buffer, end: boolean): [Buffer, Buffer] {
  const head = frame(end ? COMMAND.stdinClose : COMMAND.stdin, handle, 0);
  head.writeUInt32LE(HEADER_BYTES - 4 + bytes.length, 0);
  return [head, bytes];
}

/** Returns `undefined` if a string holds NUL, which no argument, variable or path can. */
export function encodeSpawn(request: SpawnRequest, cgroup: string): Buffer | undefined {
  const { argv, home, cwd = '', file = '', identity, terminal } = request;
  const { EXECUTION_ID: marker, ...others } = request.env;
  // The marker comes first, so that it is found in the first bytes.
  const env = [...(marker === undefined ? [] : [['EXECUTION_ID', marker]]), ...Object.entries(others)];
  const paths = `${home}\0${cwd}\0${cgroup}\0${file}\0`;
  const args = argv.length === 0 ? '' : `${argv.join('\0')}\0`;
  let variables = '';
  for (const [name, value] of env) variables += `${name}=${value}\0`;
  if (count(paths) !== 4 || count(args) !== argv.length || count(variables) !== env.length) return undefined;
  const groups = identity?.groups ?? [];
  const strings = Buffer.byteLength(paths) + Buffer.byteLength(args) + Buffer.byteLength(variables);
  const bytes = frame(COMMAND.spawn, request.handle, SPAWN_HEAD_BYTES + groups.length * 4 + 8 + strings);
  let at = bytes.writeBigUInt64LE(BigInt(request.keepBytes), HEADER_BYTES);
  at = bytes.writeUInt32LE(request.tailBytes, at);
  at = bytes.writeUInt8(flagsOf(request), at);
  at = bytes.writeUInt16LE(terminal?.width ?? 0, at);
  at = bytes.writeUInt16LE(terminal?.height ?? 0, at);
  for (const number of [identity?.uid ?? 0, identity?.gid ?? 0, groups.length, ...groups])
    at = bytes.writeUInt32LE(number, at);
  at += bytes.write(paths, at);
  at = bytes.writeUInt32LE(argv.length, at);
  at += bytes.write(args, at);
  at = bytes.writeUInt32LE(env.length, at);
  bytes.write(variables, at);
  return bytes;
}

function flagsOf({ identity, stdin, terminal, ask }: SpawnRequest): number {
  return (
    (identity ? FLAG.identity : 0) |
    (stdin === 'pipe' ? FLAG.stdinPipe : 0) |
    (terminal ? FLAG.terminal : 0) |
    (ask ? FLAG.ask : 0)
  );
}

function count(text: string): number {
  let found = 0;
  for (let at = text.indexOf('\0'); at >= 0; at = text.indexOf('\0', at + 1)) found++;
  return found;
}

export interface EventFrame {
  op: number;
  handle: number;
  /** A view into the bytes that were read, not a copy. */
  payload: Buffer;
}

/** Decodes a byte stream to frames. Keeps an unfinished frame until its rest arrives, but passes on its bytes of output. */
export class FrameReader {
  #rest: Buffer = NOTHING;
  /** The event of output whose last `missing` bytes have not arrived. */
  #output: { op: number; handle: number; missing: number } | undefined;

  /** Calls `each` for every frame that `chunk` completes; for output with each part of it, because joining the parts copies all bytes. */
  push(chunk: Buffer, each: (frame: EventFrame) => void): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = this.#continueOutput(bytes, each);
    while (bytes.length - at >= HEADER_BYTES) {
      const end = at + 4 + bytes.readUInt32LE(at);
      const op = bytes.readUInt8(at + 4);
      const isPart = end > bytes.length;
      if (isPart && op !== EVENT.stdout && op !== EVENT.stderr) break;
      const handle = bytes.readUInt32LE(at + 5);
      const payload = bytes.subarray(at + HEADER_BYTES, end);
      if (!isPart || payload.length > 0) each({ op, handle, payload });
      if (isPart) this.#output = { op, handle, missing: end - bytes.length };
      at = Math.min(end, bytes.length);
    }
    this.#rest = at === bytes.length ? NOTHING : bytes.subarray(at);
  }

  /** Passes on the next part of an event of output. Returns where it ends in `bytes`. */
  #continueOutput(bytes: Buffer, each: (frame: EventFrame) => void): number {
    if (this.#output === undefined || bytes.length === 0) return 0;
    const { op, handle, missing } = this.#output;
    const payload = bytes.subarray(0, missing);
    this.#output = payload.length < missing ? { op, handle, missing: missing - payload.length } : undefined;
    each({ op, handle, payload });
    return payload.length;
  }
}

/** Reads a count of bytes or of microseconds. */
export function readCount(payload: Buffer, at: number): number {
  return Number(payload.readBigUInt64LE(at));
}

/**
 * Reads the payload of EXITED. `tree`: the usage of the whole tree by its cgroup. Without it the figures cover the main process and those it
 * had waited for.
 */
export function readEnd(payload: Buffer, tree: Partial<Usage>): SpawnEnd {
  const value = payload.readInt32LE(1);
  const usage = {
    cpuUserMs: Math.round(readCount(payload, 21) / 1000),
    cpuSystemMs: Math.round(readCount(payload, 29) / 1000),
    maxMemoryBytes: readCount(payload, 37),
    ...tree,
  };
  const rest = {
    stdoutBytes: readCount(payload, 5),
    stderrBytes: readCount(payload, 13),
    usage,
    leftNothing: payload[45] === 1,
  };
  return payload[0] === 0 ? { exitCode: value, ...rest } : { signal: value, ...rest };
}
