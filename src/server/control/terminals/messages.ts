/** The messages of a terminal's stream, in the format of the SDKs (docs/api.md, Terminals). */
import { Type } from 'typebox';
import { Compile } from 'typebox/schema';
import { type TerminalSize, TerminalSizeSchema } from '../../../core/launch-options.ts';

const BASE64 = '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$';
const input = Compile(Type.Object({ type: Type.Literal('input'), data: Type.String({ pattern: BASE64 }) }));
const ack = Compile(Type.Object({ type: Type.Literal('ack'), offset: Type.Integer({ minimum: 0 }) }));
const ping = Compile(Type.Object({ type: Type.Literal('ping') }));
const resize = Compile(Type.Object({ type: Type.Literal('resize'), ...TerminalSizeSchema.properties }));

export type ClientMessage =
  | { type: 'input'; bytes: Buffer }
  | { type: 'resize'; size: TerminalSize }
  /** The client wants to know whether the connection is alive. */
  | { type: 'ping' }
  /** The client has processed all output before the offset. */
  | { type: 'ack'; offset: number };

/** Parses a message of a client. A binary one is always input. Undefined if it is malformed. */
export function parseClientMessage(data: Buffer, isBinary: boolean): ClientMessage | undefined {
  if (isBinary) return { type: 'input', bytes: data };
  let value: unknown;
  try {
    value = JSON.parse(data.toString('utf8'));
  } catch {
    return undefined;
  }
  if (input.Check(value)) return { type: 'input', bytes: Buffer.from((value as { data: string }).data, 'base64') };
  if (ack.Check(value)) return { type: 'ack', offset: (value as { offset: number }).offset };
  if (ping.Check(value)) return { type: 'ping' };
  if (!resize.Check(value)) return undefined;
  const { width, height } = value as TerminalSize;
  return { type: 'resize', size: { width, height } };
}

/** Returns output as a text frame. */
export function outputMessage(bytes: Buffer): string {
  return `{"type":"output","data":"${bytes.toString('base64')}"}`;
}

/**
 * Returns the message with the offset of the next byte of output. `acks`: the server accepts `ack` messages, which earlier versions refuse.
 * `numbered`: it numbers the client's input, and answers `ping`.
 */
export function offsetMessage(offset: number, numbered: boolean): string {
  return JSON.stringify({ type: 'offset', offset, acks: true, ...(numbered && { numbered }) });
}

/** Returns the message that the terminal has all input of the client before the offset. */
export function inputAckMessage(offset: number, numbered: boolean): string {
  return JSON.stringify({ type: 'input_ack', offset, numbered });
}

/** Returns an error message of the stream as a text frame. */
export function errorMessage(code: 'INVALID_MESSAGE' | 'AGENT_AWAY', message: string): string {
  return JSON.stringify({ type: 'error', error_code: code, error_message: message });
}

export const PONG_MESSAGE = '{"type":"pong"}';
export const CLOSED_MESSAGE = '{"type":"closed"}';
