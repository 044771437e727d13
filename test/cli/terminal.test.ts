/** Messages on a terminal besides the output, and cases without messages. */
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { StatusLine } from '../../src/cli/terminal/status-line.ts';
import { size, uploadProgress } from '../../src/cli/terminal/upload-progress.ts';

const ERASE = '\u001b[K';

function terminal() {
  const stream = Object.assign(new PassThrough(), { columns: 20 });
  return { line: new StatusLine(stream), text: () => String(stream.read() ?? '') };
}

test('a status is shown on one line, cut to its width, and removed again', () => {
  const { line, text } = terminal();
  line.show('one');
  line.show('x'.repeat(50));
  line.clear();
  line.clear();
  expect(text()).toBe(`\rone${ERASE}\r${'x'.repeat(19)}${ERASE}\r${ERASE}`);
});

test('no status is shown after an unfinished line of the command, and a message gets a line of its own', () => {
  const { line, text } = terminal();
  line.wrote(Buffer.from('Password: '));
  line.show('one');
  expect(text()).toBe('');
  line.say('away');
  expect(text()).toBe('\r\nexecplane: away\r\n');
  line.wrote(Buffer.from('$ '));
  line.wrote(Buffer.from('ok\n'));
  line.show('two');
  expect(text()).toBe(`\rtwo${ERASE}`);
});

test('an upload is shown once it takes a second, at most five times per second', () => {
  let now = 0;
  const shown: string[] = [];
  const sent = uploadProgress({ show: (text) => shown.push(text) }, 4 << 20, { now: () => now });
  for (now = 100; now <= 2000; now += 100) sent(now * 1024);
  expect(shown).toHaveLength(6);
  expect(shown[0]).toBe('stdin: 1000.0 KiB of 4.0 MiB (24 %), 1000.0 KiB/s');
});

test('an upload of unknown size shows the bytes so far', () => {
  let now = 0;
  const shown: string[] = [];
  const sent = uploadProgress({ show: (text) => shown.push(text) }, undefined, { now: () => now });
  now = 2000;
  sent(3 * 2 ** 30);
  expect(shown).toEqual(['stdin: 3.0 GiB, 1.5 GiB/s']);
  expect([size(0), size(1023), size(1024), size(2 ** 50)]).toEqual(['0 B', '1023 B', '1.0 KiB', '1024.0 TiB']);
});
