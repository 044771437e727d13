/** Seals secrets at rest (AES-256-GCM) and computes keyed digests, with keys derived from the server's key file. */
import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { isStringRecord } from '../core/json.ts';
import { ConfigError } from '../node/config-error.ts';
import { readConfiguredSecret } from '../node/files/configured-file.ts';
import { type KeyFileFormat, readOrCreateKeyFile } from '../node/key-file.ts';
import { openBytes, sealBytesInSteps } from './aes-gcm.ts';
import { atOnce, inTurns } from './turns.ts';

const VERSION = 1;
const KEY_BYTES = 32;
const NOTHING = Buffer.alloc(0);

/** The secret input of an execution, which is erased at its end. */
export interface SecretInput {
  env: Readonly<Record<string, string>>;
  stdin: Buffer;
}

export interface Sealer {
  /** Seals the input of an execution. `undefined` if it is empty. */
  seal(executionId: string, input: SecretInput): Buffer | undefined;
  /** The same, with turns of the event loop in between if the input is large. */
  sealInTurns(executionId: string, input: SecretInput): Promise<Buffer | undefined>;
  /** Opens a result of `seal` for the same execution. Throws if it was changed, moved, or sealed under another key. */
  open(executionId: string, sealed: Buffer | undefined): SecretInput;
}

/** Computes a keyed digest (HMAC-SHA-256) of the parts, in order, including their boundaries. */
export type Digest = (...parts: readonly (string | Buffer)[]) => Buffer;

/** The same, in steps. A part may come in pieces. */
export type DigestSteps = (...parts: (string | Buffer | Iterable<string>)[]) => Generator<void, Buffer>;

export interface ServerKeys {
  sealer: Sealer;
  /** For Idempotency-Keys: the stored value reveals nothing of the body. */
  requestDigest: DigestSteps;
  /** For cursors: only those of this server are accepted. */
  cursorDigest: Digest;
  /** For the join tokens of machines that a provider creates: the same for the same operation. */
  joinTokenDigest: Digest;
  /** For links to artifacts. */
  downloadDigest: Digest;
  /** Seals the sessions of the console: 32 bytes. */
  sessionKey: Buffer;
  /** Seals the state of a sign-in with OpenID Connect, which the browser keeps: 32 bytes. */
  signInKey: Buffer;
  /** Seals the tickets of terminals: 32 bytes. */
  ticketKey: Buffer;
  /** Secret that signs callbacks if several servers share a database. */
  webhookSecret: string;
  /** Servers of one database prove to each other with it that they belong together: 32 bytes. */
  peerKey: Buffer;
  /** Identifies the key without revealing it: servers of one database compare it. */
  fingerprint: Buffer;
}

const FORMAT: KeyFileFormat = {
  make: () => randomBytes(KEY_BYTES).toString('base64url'),
  pattern: /^[A-Za-z0-9_-]{43}$/,
  expected: `${KEY_BYTES} bytes in base64url`,
};

/** Reads the key file of the data directory, or creates it (0600) at the first start. A configured `keyFile` must exist. */
export function loadServerKeys(dataDir: string, keyFile?: string): ServerKeys {
  const encoded = keyFile === undefined ? readOrCreateKeyFile(join(dataDir, 'secret.key'), FORMAT) : readKey(keyFile);
  return serverKeysFrom(Buffer.from(encoded, 'base64url'));
}

/** Reads a key file that several servers share, and does not create it. Throws ConfigError. */
function readKey(path: string): string {
  const key = readConfiguredSecret('EXECPLANE_SECRET_KEY_FILE', path);
  if (FORMAT.pattern.test(key)) return key;
  throw new ConfigError(
    `EXECPLANE_SECRET_KEY_FILE: ${path} is damaged: it must hold ${FORMAT.expected}: copy it again from another server`,
  );
}

/** Derives the keys for each purpose from `master` (32 bytes). */
export function serverKeysFrom(master: Buffer): ServerKeys {
  return {
    sealer: createSealer(derive(master, 'input')),
    requestDigest: createDigestSteps(derive(master, 'idempotency')),
    cursorDigest: createDigest(derive(master, 'cursor')),
    joinTokenDigest: createDigest(derive(master, 'join token')),
    downloadDigest: createDigest(derive(master, 'download')),
    sessionKey: derive(master, 'console session'),
    signInKey: derive(master, 'console sign-in'),
    ticketKey: derive(master, 'terminal ticket'),
    webhookSecret: `whsec_${derive(master, 'webhook').toString('base64')}`,
    peerKey: derive(master, 'peer'),
    fingerprint: derive(master, 'fingerprint'),
  };
}

function derive(master: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', master, NOTHING, `execplane ${purpose}`, KEY_BYTES));
}

/** Creates the sealer. Each execution has its own derived key, so that no key comes near the limit of random nonces. */
function createSealer(key: Buffer): Sealer {
  const keyOf = (executionId: string): Buffer => createHmac('sha256', key).update(executionId).digest();
  function* sealSteps(executionId: string, input: SecretInput): Generator<void, Buffer | undefined> {
    const env = Object.keys(input.env).length === 0 ? '' : JSON.stringify(input.env);
    if (env === '' && input.stdin.length === 0) return undefined;
    const plainHead = Buffer.alloc(4 + Buffer.byteLength(env));
    plainHead.writeUInt32LE(plainHead.length - 4, 0);
    plainHead.write(env, 4);
    return yield* sealBytesInSteps(keyOf(executionId), [plainHead, input.stdin], Buffer.of(VERSION));
  }
  return {
    seal: (executionId, input) => atOnce(sealSteps(executionId, input)),
    sealInTurns: (executionId, input) => inTurns(sealSteps(executionId, input)),
    open(executionId, sealed) {
      if (sealed === undefined) return { env: {}, stdin: NOTHING };
      if (sealed[0] !== VERSION) throw new Error('the sealed input has an unknown format');
      const plain = openBytes(keyOf(executionId), sealed.subarray(1));
      const stdinAt = 4 + plain.readUInt32LE(0);
      return { env: readEnv(plain.toString('utf8', 4, stdinAt)), stdin: plain.subarray(stdinAt) };
    },
  };
}

/** Parses an env. `__proto__` is an ordinary name: JSON.parse creates own properties. */
function readEnv(json: string): Record<string, string> {
  const env: unknown = json === '' ? {} : JSON.parse(json);
  if (!isStringRecord(env)) throw new Error('the sealed input has a malformed env');
  return env;
}

function createDigest(key: Buffer): Digest {
  const steps = createDigestSteps(key);
  return (...parts) => atOnce(steps(...parts));
}

/** Bytes, or characters, that are processed in one step. */
const STEP_BYTES = 1_048_576;

function createDigestSteps(key: Buffer): DigestSteps {
  return function* (...parts) {
    const hmac = createHmac('sha256', key);
    for (const part of parts) {
      const pieces = yield* piecesOf(part);
      hmac.update(`${pieces.reduce((sum, { length }) => sum + length, 0)}:`);
      for (const piece of pieces) {
        if (piece !== pieces[0]) yield;
        hmac.update(piece);
      }
    }
    return hmac.digest();
  };
}

/** All bytes of a part: their number comes before them. */
function* piecesOf(part: Parameters<DigestSteps>[number]): Generator<void, Buffer[]> {
  const pieces: Buffer[] = [];
  for (const piece of Buffer.isBuffer(part) ? slicesOf(part) : joined(typeof part === 'string' ? [part] : part)) {
    if (pieces.length > 0) yield;
    pieces.push(piece);
  }
  return pieces;
}

function* slicesOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += STEP_BYTES) yield bytes.subarray(at, at + STEP_BYTES);
}

/** Joins short pieces of text, which come by the thousand. */
function* joined(pieces: Iterable<string>): Generator<Buffer> {
  let text = '';
  for (const piece of pieces) {
    text += piece;
    if (text.length < STEP_BYTES) continue;
    yield Buffer.from(text);
    text = '';
  }
  yield Buffer.from(text);
}
