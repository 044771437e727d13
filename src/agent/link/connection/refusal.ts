import type { IncomingMessage } from 'node:http';
import { parseJson } from '../../../core/json.ts';
import { isErrorBody } from '../../schemas/checks.ts';

const MAX_BODY_BYTES = 4096;

/** Returns the status of an unexpected HTTP answer, and its message in one line. Never rejects. */
export async function readRefusal(response: IncomingMessage): Promise<{ status: number; detail: string }> {
  const body = await readText(response, MAX_BODY_BYTES);
  return { status: response.statusCode ?? 0, detail: refusalText(body) || (response.statusMessage ?? '') };
}

/** Reads the first `maxBytes` of a body as text. Longer bodies and broken connections end it. */
export async function readText(response: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= maxBytes) break;
    }
  } catch {
    // The status alone is enough if the body is cut short.
  }
  return Buffer.concat(chunks).toString('utf8', 0, Math.min(size, maxBytes));
}

/** Returns the message of an error of the server, else the beginning of the body, which a proxy may have sent. */
function refusalText(body: string): string {
  const value = parseJson(body);
  if (!isErrorBody(value)) return body.replace(/\s+/g, ' ').trim().slice(0, 200);
  return value.message ?? value.detail ?? '';
}
