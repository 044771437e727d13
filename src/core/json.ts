/** JSON from outside: parsed without a throw, and bounded before it is parsed. */

/** A check of whether a parsed value has the type T. */
export type Guard<T> = (value: unknown) => value is T;

/** Parses JSON. Undefined if the text is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether a value is an object of strings. */
export function isStringRecord(value: unknown): value is Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((entry) => typeof entry === 'string');
}

/** Bounds of a JSON text, checked before it is parsed: JSON.parse takes 11 s for 16 MiB of brackets, this check a tenth of a second. */
export interface JsonBounds {
  /** Nesting depth of arrays and objects. */
  depth: number;
  /** Members of all objects together. */
  members: number;
  /** Members and elements together. */
  values: number;
  /** Characters of one number. */
  digits: number;
}

const QUOTE = 1;
const OPENING = 2;
const CLOSING = 3;
const COMMA = 4;
const COLON = 5;
const NUMBER = 6;
/** The kind of each byte. */
const KINDS = kindsOf(
  ['"', QUOTE],
  ['[{', OPENING],
  [']}', CLOSING],
  [',', COMMA],
  [':', COLON],
  ['-0123456789', NUMBER],
);
/** Bytes that continue a number. */
const IN_NUMBER = kindsOf(['+-.0123456789eE', NUMBER]);

/** Bytes that are checked between two steps. */
const STEP_BYTES = 1_048_576;

/** Returns the first bound that a JSON text exceeds. For text that is not JSON the result means nothing: the parser refuses it. */
export function exceededBound(bounds: JsonBounds, json: Buffer): keyof JsonBounds | undefined {
  const steps = boundSteps(bounds, json);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** The same in steps of 1 MiB. */
export function* boundSteps(bounds: JsonBounds, json: Buffer): Generator<void, keyof JsonBounds | undefined> {
  let depth = 0;
  let members = 0;
  let commas = 0;
  let stepEnd = STEP_BYTES;
  for (let at = 0; at < json.length; at += 1) {
    if (at >= stepEnd) {
      yield;
      stepEnd = at + STEP_BYTES;
    }
    switch (KINDS[json[at] as number]) {
      case QUOTE:
        at = endOfString(json, at);
        if (at < 0) at = yield* endInSteps(json, ~at);
        break;
      case OPENING:
        depth += 1;
        if (depth > bounds.depth) return 'depth';
        break;
      case CLOSING:
        depth -= 1;
        break;
      case COMMA:
        commas += 1;
        if (commas >= bounds.values) return 'values';
        break;
      case COLON:
        members += 1;
        if (members > bounds.members) return 'members';
        break;
      case NUMBER: {
        const end = endOfNumber(json, at, bounds.digits + 1);
        if (end - at > bounds.digits) return 'digits';
        at = end - 1;
        break;
      }
    }
  }
  return undefined;
}

/** Whether arrays and objects nest deeper than `maxDepth` in a JSON text. */
export function nestsDeeperThan(maxDepth: number, json: Buffer): boolean {
  return exceededBound({ ...UNBOUNDED, depth: maxDepth }, json) !== undefined;
}

const UNBOUNDED = {
  members: Number.POSITIVE_INFINITY,
  values: Number.POSITIVE_INFINITY,
  digits: Number.POSITIVE_INFINITY,
};

const QUOTE_BYTE = 0x22;
const BACKSLASH_BYTE = 0x5c;
/** After this many escaped quotes in one string, checking each byte is cheaper than searching the next quote. */
const MANY_ESCAPED = 64;

/** Returns the index of the quote that closes the string opened at `start`, or the end; `~index` to go on there by bytes. */
function endOfString(json: Buffer, start: number): number {
  let escaped = 0;
  for (let at = json.indexOf(QUOTE_BYTE, start + 1); at !== -1; at = json.indexOf(QUOTE_BYTE, at + 1)) {
    let before = at;
    while (json[before - 1] === BACKSLASH_BYTE) before -= 1;
    if ((at - before) % 2 === 0) return at;
    escaped += 1;
    if (escaped === MANY_ESCAPED) return ~(at + 1);
  }
  return json.length;
}

/** Returns the same, from within a string. */
function* endInSteps(json: Buffer, start: number): Generator<void, number> {
  for (let end = endByBytes(json, start); ; end = endByBytes(json, ~end)) {
    if (end >= 0) return end;
    yield;
  }
}

/** Returns the same; `~index` to go on there after a step. */
function endByBytes(json: Buffer, start: number): number {
  const stepEnd = start + STEP_BYTES;
  for (let at = start; at < json.length; at += 1) {
    if (at >= stepEnd) return ~at;
    const byte = json[at];
    if (byte === BACKSLASH_BYTE) at += 1;
    else if (byte === QUOTE_BYTE) return at;
  }
  return json.length;
}

/** Returns the index after the number that begins at `start`, or after `most` characters of it. */
function endOfNumber(json: Buffer, start: number, most: number): number {
  let end = start + 1;
  while (end < json.length && end - start < most && IN_NUMBER[json[end] as number] === NUMBER) end += 1;
  return end;
}

function kindsOf(...kinds: readonly (readonly [characters: string, kind: number])[]): Uint8Array {
  const table = new Uint8Array(256);
  for (const [characters, kind] of kinds) for (const byte of Buffer.from(characters)) table[byte] = kind;
  return table;
}
