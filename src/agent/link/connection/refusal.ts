import type { IncomingMessage } from 'node:http';
import { parseJson } from '../../../core/json.ts';
import { isErrorBody } from '../../schemas/checks.ts';

const MAX_BODY_BYTES = 4096;

/** An HTTP answer that is not what the agent asked for: its status, and what it says in a line. Never rejects. */
export async function readRefusal(response: IncomingMessage): Promise<{ status: number; detail: string }> {
  const body = await readText(response, MAX_BODY_BYTES);
  return { status: response.statusCode ?? 0, detail: refusalText(body) || (response.statusMessage ?? '') };
}

/** The first `maxBytes` of a body as text; what comes after, or a broken connection, ends it. */
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
    // A refusal cut short is still a refusal.
  }
  return Buffer.concat(chunks).toString('utf8', 0, Math.min(size, maxBytes));
}

/** The message of an error of the server's, else the beginning of what a proxy in between answered. */
function refusalText(body: string): string {
  const value = parseJson(body);
  if (!isErrorBody(value)) return body.replace(/\s+/g, ' ').trim().slice(0, 200);
  return value.message ?? value.detail ?? '';
}
