/** A small collector for tests, which accepts OTLP over HTTP as JSON. */
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface WireSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: { stringValue?: string; intValue?: number } }[];
  status: { code?: number; message?: string };
}

export class Collector implements AsyncDisposable {
  readonly spans: WireSpan[] = [];
  readonly resources: unknown[] = [];
  readonly requests: { url: string | undefined; authorization: string | undefined }[] = [];
  readonly #server: Server;

  /** `answer` is called after the spans are recorded; default: status 200. */
  private constructor(answer: (response: ServerResponse) => void) {
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      this.requests.push({ url: request.url, authorization: request.headers.authorization });
      this.#take(JSON.parse(Buffer.concat(chunks).toString()));
      answer(response);
    });
  }

  static async start(answer = (response: ServerResponse): unknown => response.end('{}')): Promise<Collector> {
    const collector = new Collector(answer);
    collector.#server.listen(0, '127.0.0.1');
    await once(collector.#server, 'listening');
    return collector;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The only span of this name. */
  named(name: string): WireSpan {
    const [span, ...others] = this.spans.filter((one) => one.name === name);
    if (span === undefined || others.length > 0) throw new Error(`not one ${name}: ${this.spans.map((s) => s.name)}`);
    return span;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #take(body: { resourceSpans: { resource: unknown; scopeSpans: { spans: WireSpan[] }[] }[] }): void {
    for (const { resource, scopeSpans } of body.resourceSpans) {
      this.resources.push(resource);
      for (const { spans } of scopeSpans) this.spans.push(...spans);
    }
  }
}

export function attributesOf({ attributes }: WireSpan): Record<string, string | number | undefined> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue]));
}
