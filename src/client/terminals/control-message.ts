/** The text messages of the server on the stream of a terminal. */
import { parseObject } from '../http/errors.ts';
import { hasShape, type Shape } from '../http/shape.ts';

export interface ControlMessage {
  type?: string;
  offset?: number;
  acks?: boolean;
  numbered?: boolean;
  error_code?: string;
}

/** The fields that are read here. */
const CONTROL_MESSAGE: Shape<ControlMessage> = {
  'type?': 'string',
  'offset?': 'number',
  'acks?': 'boolean',
  'numbered?': 'boolean',
  'error_code?': 'string',
};

/** Returns the message of a text frame. Undefined if it is none. */
export function parseControlMessage(text: string): ControlMessage | undefined {
  const message = parseObject(text);
  return hasShape(message, CONTROL_MESSAGE) ? message : undefined;
}
