import { expect, test, vi } from 'vitest';
import { statusStream } from '../../../../src/server/http/streams/status-stream.ts';
import { httpFixture } from '../http-fixture.ts';

test('after 15 s of silence a comment is sent, which no decoder takes for an event', async () => {
  await using http = await httpFixture();
  await http.store.createMachine({ machineId: 'dm-new', now: Date.now() });
  const unwatched = { feed: { watch: () => () => {} } };
  const { signal } = new AbortController();
  const context = { store: http.store, lifecycle: unwatched } as unknown as Parameters<typeof statusStream>[0];
  const chunks = statusStream(context, { machineId: 'dm-new', signal });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    expect((await chunks.next()).value).toMatch(/^id: 1\nevent: status\ndata: .*\n\n$/);
    const next = chunks.next();
    await vi.advanceTimersByTimeAsync(15_000);
    expect((await next).value).toBe(':\n');
  } finally {
    vi.useRealTimers();
    await chunks.return(undefined);
  }
});
