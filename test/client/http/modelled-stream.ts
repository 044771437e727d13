/**
 * A model of server, link and runner that stream the output of one command. The test decides which releases, answers and limits are lost, and
 * when the server is killed.
 */
import { STREAM_BUFFER_HEADER } from '../../../src/core/stream-buffer-header.ts';
import { answeredExecution } from '../answers.ts';

/** The fate of a release. */
export type ReleaseFate =
  | 'arrives'
  /** The connection breaks before the server has the request. */
  | 'request_lost'
  /** The connection breaks before the client has the answer. */
  | 'answer_lost'
  /** Neither the server nor the network answers. */
  | 'hangs'
  /** The client has the answer, the agent does not have the new limit. */
  | 'limit_lost'
  /** The same, and the link is killed: the agent connects again. */
  | 'link_killed'
  /** The same, and the server is killed before it has written the release. */
  | 'server_killed';

export interface ModelOptions {
  bufferBytes: number;
  totalBytes: number;
  pieceBytes: number;
  /** Fates of the releases, in order. All later ones arrive. */
  fates?: readonly ReleaseFate[];
  /** Positions of the reader at which the server is killed. */
  kills?: readonly number[];
  /** Time for which a killed server is away, and then its agent, ms. */
  restartMs?: number;
  statesBuffer?: boolean;
}

interface Follower {
  controller: ReadableStreamDefaultController<Uint8Array>;
  /** The next byte that it gets. */
  at: number;
}

export class ModelledStream {
  readonly #options: Required<ModelOptions>;
  readonly #fates: ReleaseFate[];
  readonly #kills: number[];
  /** Offsets at which the output was followed. */
  readonly followedAt: number[] = [];
  /** Offsets of all releases that were sent. */
  readonly releases: number[] = [];
  #isUp = true;
  #isAgentConnected = true;
  /** The runner: its limit, and the bytes in its journal. */
  #limit: number;
  /** The server: bytes that have come, and how far they were released, in memory and on disk. */
  #come = 0;
  #released = 0;
  #stored = 0;
  #followers = new Set<Follower>();

  constructor(options: ModelOptions) {
    this.#options = { fates: [], kills: [], restartMs: 300, statesBuffer: true, ...options };
    this.#fates = [...this.#options.fates];
    this.#kills = [...this.#options.kills];
    this.#limit = options.bufferBytes;
    this.#produce();
  }

  readonly fetch: typeof fetch = async (input, init) => {
    const url = new URL(String(input));
    if (!this.#isUp) throw new TypeError('fetch failed', { cause: new Error('connection refused') });
    if (!url.pathname.includes('/output/')) return this.#execution();
    const offset = Number(url.searchParams.get('offset'));
    if (init?.method === 'HEAD') return this.#release(offset, init.signal ?? undefined);
    return this.#follow(offset);
  };

  #execution(): Response {
    const { totalBytes } = this.#options;
    const ended = this.#come === totalBytes;
    const status = ended ? 'succeeded' : 'running';
    return Response.json({ ...answeredExecution('ex-1'), status, output_mode: 'stream', stdout_bytes: this.#come });
  }

  #follow(at: number): Response {
    this.followedAt.push(at);
    let follower: Follower | undefined;
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          follower = { controller, at };
          this.#followers.add(follower);
        },
        pull: () => follower && this.#feed(follower),
        cancel: () => void (follower && this.#followers.delete(follower)),
      },
      { highWaterMark: 0 },
    );
    const buffer = { [STREAM_BUFFER_HEADER]: String(this.#options.bufferBytes) };
    return new Response(body, { headers: this.#options.statesBuffer ? buffer : {} });
  }

  /** Gives a reader its next piece, if there is one. */
  #feed(follower: Follower): void {
    const { pieceBytes, totalBytes } = this.#options;
    const bytes = Math.min(pieceBytes, this.#come - follower.at);
    if (bytes > 0) {
      follower.at += bytes;
      follower.controller.enqueue(new Uint8Array(bytes));
      if (follower.at >= (this.#kills[0] ?? Number.POSITIVE_INFINITY)) {
        this.#kills.shift();
        this.#killServer();
      }
    } else if (follower.at === totalBytes) {
      this.#followers.delete(follower);
      follower.controller.close();
    }
  }

  async #release(offset: number, signal: AbortSignal | undefined): Promise<Response> {
    this.releases.push(offset);
    const fate = this.#fates.shift() ?? 'arrives';
    if (fate === 'request_lost') throw new TypeError('fetch failed');
    if (fate === 'hangs')
      return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
    if (offset > this.#come)
      return Response.json({ error_code: 'DEPENDENCY_UNAVAILABLE', retryable: true }, { status: 503 });
    this.#released = Math.max(this.#released, offset);
    if (fate === 'server_killed') this.#killServer();
    else {
      this.#stored = this.#released;
      if (fate === 'link_killed') this.#loseAgent();
      else if (fate !== 'limit_lost') this.#tellLimit();
    }
    if (fate === 'answer_lost') throw new TypeError('fetch failed');
    return new Response(null);
  }

  #killServer(): void {
    this.#isUp = false;
    this.#released = this.#stored;
    this.#come = Math.min(this.#come, this.#stored);
    this.#isAgentConnected = false;
    for (const { controller } of this.#followers) controller.error(new TypeError('terminated'));
    this.#followers.clear();
    setTimeout(() => {
      this.#isUp = true;
      this.#loseAgent();
    }, this.#options.restartMs);
  }

  #loseAgent(): void {
    this.#isAgentConnected = false;
    setTimeout(() => {
      this.#isAgentConnected = this.#isUp;
      if (this.#isUp) this.#tellLimit();
    }, this.#options.restartMs);
  }

  #tellLimit(): void {
    if (!this.#isAgentConnected) return;
    this.#limit = Math.max(this.#limit, this.#released + this.#options.bufferBytes);
    this.#produce();
  }

  /** The command writes until it has to wait; the runner reads one piece more than its limit. */
  #produce(): void {
    const { pieceBytes, totalBytes } = this.#options;
    this.#come = Math.min(totalBytes, this.#limit + pieceBytes);
    for (const follower of this.#followers) this.#feed(follower);
  }
}
