/** Artifacts are stored completely or not at all, also in several batches, and are removed by deletion and expiry. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { ArtifactLimits } from '../../../src/store/store.ts';
import { type Bench, ended, MACHINE, type OpenStore, record, T0, useStore } from './fixture.ts';

const SHA256 = 'a'.repeat(64);
const LIMITS: ArtifactLimits = { maxBytes: 100, quotaBytes: 1000, retentionMs: 1000 };

type Part = ['begin', string] | ['data', string] | ['end', string] | ['refused', string, string] | ['ended'];

export function describeArtifacts(open: OpenStore): void {
  describe('artifacts', () => {
    const bench = useStore(open);
    beforeEach(() => bench().connect());
    describeStored(bench);
    describeArtifactLimits(bench);
    describeGone(bench);
  });
}

/** Starts executions and reports parts of artifacts of the newest one, each in a separate batch. */
function reporter(bench: () => Bench, limits: Partial<ArtifactLimits> = {}) {
  const artifacts = { ...LIMITS, ...limits };
  let number = 1;
  return {
    start: async (executionId: string) => {
      await bench().dispatched({ executionId });
      number = 1;
      await bench().report([record(executionId, 1, 'started', { pid: 1 })]);
    },
    send: async (executionId: string, ...parts: Part[]) => {
      const records = parts.map((part) => recordOf(executionId, ++number, part));
      return bench().report(records, { now: T0 + number, artifacts });
    },
  };
}

function recordOf(executionId: string, number: number, [type, name = '', reason]: readonly [string, string?, string?]) {
  if (type === 'begin') return record(executionId, number, 'artifact', { name });
  if (type === 'data') return record(executionId, number, 'artifact_data', name);
  if (type === 'end') return record(executionId, number, 'artifact_end', { name, sha256: SHA256 });
  if (type === 'refused') return record(executionId, number, 'artifact_end', { name, reason });
  return record(executionId, number, 'ended', ended());
}

async function listed(bench: Bench) {
  const { items } = await bench.store.listArtifacts({ machineId: MACHINE, limit: 100 });
  return items;
}

async function bytesOf(bench: Bench, artifactId: string): Promise<string> {
  const parts: Buffer[] = [];
  for (let offset = 0; ; ) {
    const part = await bench.store.readArtifact({ artifactId, offset, maxBytes: 3 });
    if (part.length === 0) return Buffer.concat(parts).toString();
    parts.push(part);
    offset += part.length;
  }
}

function describeStored(bench: () => Bench): void {
  test('bytes of many batches become one artifact, which is visible once it is complete', async () => {
    const { start, send } = reporter(bench);
    await start('e');
    await send('e', ['begin', 'dir/file'], ['data', 'abc']);
    await send('e', ['data', 'defgh']);
    expect(await listed(bench())).toEqual([]);
    expect(await bench().store.getExecution({ machineId: MACHINE, executionId: 'e' })).not.toHaveProperty('artifacts');
    await send('e', ['data', 'i'], ['end', 'dir/file']);
    const [artifact] = await listed(bench());
    expect(artifact).toMatchObject({
      machineId: MACHINE,
      executionId: 'e',
      name: 'dir/file',
      bytes: 9,
      sha256: SHA256,
    });
    expect(artifact).toMatchObject({ createdAt: T0 + 6, expiresAt: T0 + 3 + 1000 });
    expect(await bytesOf(bench(), artifact?.artifactId ?? '')).toBe('abcdefghi');
    const { artifactId = '' } = artifact ?? {};
    const execution = await bench().store.getExecution({ machineId: MACHINE, executionId: 'e' });
    expect(execution?.artifacts).toEqual([{ artifactId, name: 'dir/file' }]);
    expect(await bench().store.getArtifact({ artifactId })).toEqual(artifact);
  });

  test('repeated reports add nothing', async () => {
    const { start, send } = reporter(bench);
    await start('e');
    const first = await send('e', ['begin', 'a'], ['data', 'abc']);
    expect(first.reported).toBe(3);
    const again = reporter(bench);
    await again.send('e', ['begin', 'a'], ['data', 'abc'], ['end', 'a']);
    const [artifact] = await listed(bench());
    expect(artifact?.bytes).toBe(3);
    expect(await bytesOf(bench(), artifact?.artifactId ?? '')).toBe('abc');
  });

  test('an empty file is an artifact', async () => {
    const { start, send } = reporter(bench);
    await start('e');
    await send('e', ['begin', 'empty'], ['end', 'empty'], ['ended']);
    expect(await listed(bench())).toMatchObject([{ name: 'empty', bytes: 0 }]);
  });

  test('an artifact that is incomplete when the execution ends, or when the next one begins, is dropped', async () => {
    const { start, send } = reporter(bench);
    await start('e');
    await send('e', ['begin', 'torn'], ['data', 'abc'], ['begin', 'torn, too'], ['data', 'abc'], ['ended']);
    expect(await listed(bench())).toEqual([]);
    await start('lost');
    await send('lost', ['begin', 'torn'], ['data', 'abc']);
    await bench().store.markLost({ ...bench().ofConnection(T0), executionIds: ['lost'], reason: 'gone' });
    expect(await listed(bench())).toEqual([]);
    while (await bench().store.maintain({ maxBytes: 0 }));
  });
}

function describeArtifactLimits(bench: () => Bench): void {
  test.each([
    ['larger than the limit', { maxBytes: 4 }, 'it is larger than 4 bytes'],
    ['over the quota', { quotaBytes: 4 }, 'there is no room for more artifacts'],
  ])('a file that is %s is not stored, and an event says so', async (_name, limits, reason) => {
    const { start, send } = reporter(bench, limits);
    await start('e');
    await send('e', ['begin', 'x'], ['data', 'abc'], ['data', 'de'], ['data', 'f'], ['end', 'x']);
    await send('e', ['begin', 'y'], ['data', 'abcd'], ['end', 'y']);
    expect((await listed(bench())).map(({ name }) => name)).toEqual(['y']);
    const events = await bench().store.listEvents({ executionId: 'e', afterSequence: 2, limit: 9, maxBytes: 9999 });
    expect(events).toMatchObject([
      {
        sequence: 3,
        type: 'lifecycle',
        status: 'running',
        errorMessage: `The artifact "x" was not stored: ${reason}.`,
      },
    ]);
  });

  test('deleted, expired and dropped artifacts free their part of the quota', async () => {
    const { start, send } = reporter(bench, { quotaBytes: 6 });
    const { store } = bench();
    await start('e');
    const keep = (name: string) => send('e', ['begin', name], ['data', 'abcd'], ['end', name]);
    await keep('one');
    const [one] = await listed(bench());
    await keep('refused');
    await store.deleteArtifact({ machineId: MACHINE, artifactId: one?.artifactId ?? '', now: T0 });
    await keep('two');
    await store.expireArtifacts({ now: T0 + 9999, limit: 10 });
    await send('e', ['begin', 'torn'], ['data', 'abcd'], ['begin', 'empty'], ['end', 'empty']);
    await keep('three');
    expect((await listed(bench())).map(({ name }) => name)).toEqual(['three', 'empty']);
  });

  test('files that the agent could not keep are reported; invalid names and repeated names are dropped', async () => {
    const { start, send } = reporter(bench);
    await start('e');
    await send('e', ['begin', '../up'], ['data', 'abc'], ['end', '../up']);
    await send('e', ['begin', 'a'], ['end', 'a'], ['begin', 'a'], ['data', 'b'], ['end', 'a']);
    await send('e', ['refused', 'link', 'it is a symbolic link']);
    expect(await listed(bench())).toMatchObject([{ name: 'a', bytes: 0 }]);
    const events = await bench().store.listEvents({ executionId: 'e', afterSequence: 2, limit: 9, maxBytes: 9999 });
    expect(events).toMatchObject([{ errorMessage: 'The artifact "link" was not stored: it is a symbolic link.' }]);
  });
}

function describeGone(bench: () => Bench): void {
  async function one(name: string): Promise<string> {
    const { start, send } = reporter(bench);
    await start(name);
    await send(name, ['begin', name], ['data', 'abc'], ['end', name], ['ended']);
    return (await listed(bench())).find((artifact) => artifact.name === name)?.artifactId ?? '';
  }

  test('a deleted artifact is gone for everybody, returned to a retry, and its bytes are freed', async () => {
    const artifactId = await one('a');
    const { store } = bench();
    const asked = { machineId: MACHINE, artifactId, now: T0 + 10 };
    expect(await store.deleteArtifact({ ...asked, machineId: 'dm-other' })).toEqual({ outcome: 'not_found' });
    expect(await store.deleteArtifact(asked)).toMatchObject({ outcome: 'deleted', artifact: { artifactId } });
    expect(await store.deleteArtifact(asked)).toEqual({ outcome: 'not_found' });
    expect(await listed(bench())).toEqual([]);
    expect(await store.getArtifact({ artifactId })).toBeUndefined();
    expect(await store.getDeletedArtifact({ artifactId })).toMatchObject({ artifactId, bytes: 3 });
    expect(await store.getExecution({ machineId: MACHINE, executionId: 'a' })).not.toHaveProperty('artifacts');
    while (await store.maintain({ maxBytes: 0 }));
    expect(await store.readArtifact({ artifactId, offset: 0, maxBytes: 9 })).toEqual(Buffer.alloc(0));
    const day = 86_400_000;
    await store.expireArtifacts({ now: T0 + 11 + day, limit: 10 });
    expect(await store.getDeletedArtifact({ artifactId })).toBeUndefined();
  });

  test('expired artifacts are deleted a step at a time, and no others', async () => {
    await one('a');
    await one('b');
    const { store } = bench();
    expect(await store.expireArtifacts({ now: T0 + 500, limit: 10 })).toBe(0);
    expect(await store.expireArtifacts({ now: T0 + 5000, limit: 1 })).toBe(1);
    expect(await listed(bench())).toHaveLength(1);
    expect(await store.expireArtifacts({ now: T0 + 5000, limit: 10 })).toBe(1);
    expect(await listed(bench())).toEqual([]);
  });
}
