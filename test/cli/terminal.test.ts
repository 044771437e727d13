/** What people at a terminal are told beside the output, and when nothing is. */
import { PassThrough } from 'node:stream';
import { expect, onTestFinished, test, vi } from 'vitest';
import { UnreachableError } from '../../src/cli/http/api-failure.ts';
import { followEvents } from '../../src/cli/exec/follow-events.ts';
import type { Api } from '../../src/cli/http/http.ts';
import { StatusLine } from '../../src/cli/terminal/status-line.ts';
import { size, uploadProgress } from '../../src/cli/terminal/upload-progress.ts';

const REFUSED = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
const ERASE = '\u001b[K';

function terminal(isTTY = true) {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 20 }) as unknown as NodeJS.WriteStream &
    PassThrough;
  return { stream, line: new StatusLine(stream), text: () => String(stream.read() ?? '') };
}

test('a status is shown on one line, cut to its width, and taken away again', () => {
  const { line, text } = terminal();
  line.show('one');
  line.show('x'.repeat(50));
  line.clear();
  line.clear();
  expect(text()).toBe(`\rone${ERASE}\r${'x'.repeat(19)}${ERASE}\r${ERASE}`);
});

test('behind a line that the command has not ended nothing is shown, and what is said gets a line of its own', () => {
  const { stream, line, text } = terminal();
  line.wrote(stream, Buffer.from('Password: '));
  line.show('one');
  expect(text()).toBe('');
  line.say('away');
  expect(text()).toBe('\nexecplane: away\n');
  line.wrote(stream, Buffer.from('$ '));
  line.wrote(stream, Buffer.from('ok\n'));
  line.show('two');
  expect(text()).toBe(`\rtwo${ERASE}`);
});

test('where stderr is no terminal it is the command alone that writes to it', () => {
  const { line, text } = terminal(false);
  line.show('one');
  line.say('two');
  line.clear();
  expect(text()).toBe('');
});

test('an upload is shown once it takes a second, and no more than five times in one', () => {
  let now = 0;
  const shown: string[] = [];
  const sent = uploadProgress({ show: (text) => shown.push(text) }, 4 << 20, () => now);
  for (now = 100; now <= 2000; now += 100) sent(now * 1024);
  expect(shown).toHaveLength(6);
  expect(shown[0]).toBe('stdin: 1000.0 KiB of 4.0 MiB (24 %), 1000.0 KiB/s');
});

test('without a size it shows what is known', () => {
  let now = 0;
  const shown: string[] = [];
  const sent = uploadProgress({ show: (text) => shown.push(text) }, undefined, () => now);
  now = 2000;
  sent(3 * 2 ** 30);
  expect(shown).toEqual(['stdin: 3.0 GiB, 1.5 GiB/s']);
  expect([size(0), size(1023), size(1024), size(2 ** 50)]).toEqual(['0 B', '1023 B', '1.0 KiB', '1024.0 TiB']);
});

const EVENTS = [
  { sequence: 1, type: 'lifecycle', at: '', status: 'running' },
  { sequence: 2, type: 'lifecycle', at: '', status: 'succeeded' },
];

/** An API whose event streams do, one after the other, what is scripted. */
function scripted(streams: ((response: PassThrough) => void)[]): Api {
  const open = async () => {
    const script = streams.shift();
    if (script === undefined) throw new UnreachableError(new URL('http://x'), REFUSED);
    const socket = { setTimeout() {}, off() {} };
    const response = Object.assign(new PassThrough(), { socket });
    script(response);
    return response;
  };
  return { open } as unknown as Api;
}

function write(response: PassThrough, sequence: number): void {
  response.write(`data: ${JSON.stringify(EVENTS[sequence - 1])}\n\n`);
}

test('a command that was silent for ten minutes is followed on over a cut link', async () => {
  const clock = vi.spyOn(performance, 'now');
  onTestFinished(() => void clock.mockRestore());
  clock.mockReturnValue(0);
  const api = scripted([
    (response) => {
      write(response, 1);
      // Broken behind the first event, when ten minutes have gone by.
      setImmediate(() => {
        clock.mockReturnValue(600_000);
        response.destroy(new Error('cut'));
      });
    },
    (response) => {
      write(response, 2);
      response.end();
    },
  ]);
  const seen: number[] = [];
  for await (const { sequence } of followEvents(api, 'dm-one', 'ex-1')) seen.push(sequence);
  expect(seen).toEqual([1, 2]);
});

test('a server that stays away is told of once, and when it is back', async () => {
  const told: string[] = [];
  const outage = { away: (reason: string) => void told.push(reason), back: () => void told.push('back') };
  let tries = 0;
  const refused = new UnreachableError(new URL('http://x'), REFUSED);
  const good = scripted([
    (response) => {
      write(response, 1);
      write(response, 2);
      response.end();
    },
  ]);
  const api = {
    open: async (...call: Parameters<Api['open']>) => {
      tries += 1;
      if (tries <= 4) throw refused;
      return good.open(...call);
    },
  } as unknown as Api;
  for await (const event of followEvents(api, 'dm-one', 'ex-1', outage)) expect(event.sequence).toBeGreaterThan(0);
  expect(told).toEqual(['http://x cannot be reached: nothing listens there.', 'back']);
});
