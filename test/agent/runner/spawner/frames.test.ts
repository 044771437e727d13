import { expect, test } from 'vitest';
import {
  EVENT,
  type EventFrame,
  encodeSpawn,
  encodeStdin,
  FrameReader,
} from '../../../../src/agent/runner/spawner/frames.ts';

const request = {
  handle: 7,
  executionId: 'e',
  argv: ['a', ''],
  env: { A: 'b' },
  home: '/',
  stdin: 'none',
  keepBytes: 2 ** 40,
  tailBytes: 2 ** 16,
} as const;

const u32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);

test('a spawn command has the layout of the protocol', () => {
  const identity = { uid: 1, gid: 2, groups: [3, 4] };
  const more = {
    stdin: 'pipe',
    identity,
    terminal: { width: 80, height: 24 },
    ask: true,
    cwd: 'd',
    file: 'f',
  } as const;
  const env = { A: 'b', EXECUTION_ID: 'e' };
  const bytes = encodeSpawn({ ...request, ...more, env }, '/cg');
  const payload = Buffer.concat([
    Buffer.from([0, 0, 0, 0, 0, 1, 0, 0]),
    u32(2 ** 16),
    Buffer.from([15]),
    Buffer.from(Uint16Array.of(80, 24).buffer),
    ...[1, 2, 2, 3, 4].map(u32),
    Buffer.from('/\0d\0/cg\0f\0'),
    u32(2),
    Buffer.from('a\0\0'),
    u32(2),
    Buffer.from('EXECUTION_ID=e\0A=b\0'),
  ]);
  expect(bytes).toEqual(Buffer.concat([u32(5 + payload.length), Buffer.from([1]), u32(7), payload]));
});

test.each([
  ['an argument', { argv: ['a\0b'] }],
  ['a variable', { env: { A: '\0' } }],
  ['the directory', { cwd: '/\0' }],
])('NUL in %s is refused', (_, change) => {
  expect(encodeSpawn({ ...request, ...change }, '')).toBeUndefined();
});

test('frames are read completely wherever the stream is cut', () => {
  const stream = Buffer.concat(
    ['', 'x', 'some bytes', 'y'.repeat(300)].flatMap((text, i) => encodeStdin(i, Buffer.from(text), false)),
  );
  for (const size of [1, 2, 8, 9, 10, 13, stream.length]) {
    const frames: EventFrame[] = [];
    const reader = new FrameReader();
    for (let at = 0; at < stream.length; at += size)
      reader.push(stream.subarray(at, at + size), (frame) => frames.push(frame));
    expect(frames.map((frame) => [frame.handle, frame.payload.toString()])).toEqual([
      [0, ''],
      [1, 'x'],
      [2, 'some bytes'],
      [3, 'y'.repeat(300)],
    ]);
  }
});

test('output is passed on in the parts in which it arrives; other events are read whole', () => {
  const event = (op: number, handle: number, payload: Buffer) =>
    Buffer.concat([u32(5 + payload.length), Buffer.from([op]), u32(handle), payload]);
  const stream = Buffer.concat([
    event(EVENT.stdout, 1, Buffer.from('a'.repeat(30))),
    event(EVENT.exited, 1, Buffer.from('the end')),
    event(EVENT.stderr, 2, Buffer.from('b'.repeat(20))),
  ]);
  for (const size of [1, 5, 9, 10, 16, stream.length]) {
    const frames: EventFrame[] = [];
    const reader = new FrameReader();
    for (let at = 0; at < stream.length; at += size) {
      reader.push(stream.subarray(at, at + size), (frame) => frames.push(frame));
      const first = Math.max(0, Math.min(at + size, 39) - 9);
      if (first < 30) expect(Buffer.concat(frames.map(({ payload }) => payload))).toHaveLength(first);
    }
    const of = (op: number) => Buffer.concat(frames.filter((frame) => frame.op === op).map(({ payload }) => payload));
    expect([of(EVENT.stdout), of(EVENT.stderr)].map(String)).toEqual(['a'.repeat(30), 'b'.repeat(20)]);
    expect(frames.filter(({ op }) => op === EVENT.exited).map(({ payload }) => payload.toString())).toEqual([
      'the end',
    ]);
    expect(frames.every(({ payload }) => payload.length > 0)).toBe(true);
  }
});
