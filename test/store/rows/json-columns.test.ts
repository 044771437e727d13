import { expect, test } from 'vitest';
import { JSON_COLUMN } from '../../../src/store/rows/json-columns.ts';

test('a column is read back as it was written', () => {
  expect(JSON_COLUMN.strings('command', '["sh","-c",""]')).toStrictEqual(['sh', '-c', '']);
  expect(JSON_COLUMN.launch('launch', '{"tty":{"width":0,"height":24}}')).toStrictEqual({
    tty: { width: 0, height: 24 },
  });
});

test.each([
  ['strings', '["sh",1]'],
  ['strings', '{"0":"sh"}'],
  ['stringRecord', '{"role":1}'],
  ['counts', '{"executions":"1"}'],
  ['host', '{"hostname":"a","os":"linux","arch":"x64"}'],
  ['launch', '{"limits":{"pids":0}}'],
  ['declaredArtifacts', '[{"name":"no path"}]'],
  ['artifacts', '{"entries":[{"artifactId":"art_1"}]}'],
  ['usage', '{"cpu_user_ms":1}'],
] as const)('%s: %s is refused, with the name of the column', (reader, text) => {
  expect(() => JSON_COLUMN[reader]('the_column', text)).toThrow(/the_column/);
});
