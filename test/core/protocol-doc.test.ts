/** docs/PROTOCOL.md is normative: its lists match the code in both directions. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { AGENT_PATHS, AgentFrameSchema, CLOSE, PROTOCOL_VERSION, ServerFrameSchema } from '../../src/core/protocol.ts';
import { RECORD_HEADER_BYTES, REPORT_KIND } from '../../src/core/report.ts';
import { AGENT_LIMITS } from '../../src/server/control/agents/connection/limits.ts';

const TEXT = readFileSync(new URL('../../docs/PROTOCOL.md', import.meta.url), 'utf8');

/** The rows of the tables under a heading, without head and rule. */
function rows(heading: string): string[][] {
  const [, after = ''] = TEXT.split(`## ${heading}\n`);
  const [section = ''] = after.split('\n## ');
  const lines = section.split('\n').filter((line) => line.startsWith('|'));
  return lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const quoted = (cell = ''): string | undefined => /^`([^`]+)`/.exec(cell)?.[1];

describe.each([
  ['Frames from the agent', AgentFrameSchema.anyOf, 2],
  ['Frames from the server', ServerFrameSchema.anyOf, 3],
] as const)('%s', (heading, schemas, fieldsAt) => {
  const table = rows(heading).filter((row) => quoted(row[0]) !== undefined);

  test('names every frame, and no other', () => {
    expect(table.map((row) => quoted(row[0]))).toEqual(schemas.map((schema) => schema.properties.type.const));
  });

  test.each(schemas.map((schema) => [schema.properties.type.const, schema] as const))(
    '%s: names every field',
    (type, schema) => {
      const cell = table.find((row) => quoted(row[0]) === type)?.[fieldsAt] ?? '';
      for (const field of Object.keys(schema.properties)) {
        if (field !== 'type') expect(cell).toMatch(new RegExp(`\`${field}\\b`));
      }
    },
  );
});

test('the page has the close codes', () => {
  const table = rows('Close codes').filter((row) => /^\d+$/.test(row[0] ?? ''));
  expect(Object.fromEntries(table.map((row) => [quoted(row[1]), Number(row[0])]))).toEqual(CLOSE);
});

test('the page has the kinds of record', () => {
  const table = rows('Records').filter((row) => quoted(row[1]) !== undefined && row.length === 3);
  expect(Object.fromEntries(table.map((row) => [quoted(row[1]), Number(row[0])]))).toEqual(REPORT_KIND);
  expect(rows('Records').some((row) => row[0] === String(RECORD_HEADER_BYTES) && row[1] === 'n')).toBe(true);
});

test('the page has paths, version and limits', () => {
  for (const path of Object.values(AGENT_PATHS)) expect(TEXT).toContain(path);
  expect(PROTOCOL_VERSION).toEqual({ min: 1, max: 1 });
  expect(TEXT).toContain('This page describes version 1.');
  const mib = 1024 * 1024;
  expect(AGENT_LIMITS).toMatchObject({
    helloBytes: mib / 2,
    frameBytes: mib / 16,
    frameBytesPerSecond: mib / 4,
    unreadBytes: 32 * mib,
    slots: 4096,
    recordsBytes: mib,
    framesPerSecond: 1000,
    unwrittenBytes: 4 * mib,
    unwrittenBytesOfAll: 64 * mib,
    unsentHigh: 4 * mib,
    stdinInFlight: mib,
    stdinPiece: mib / 4,
  });
});
