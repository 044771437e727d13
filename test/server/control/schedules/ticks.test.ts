import { expect, test } from 'vitest';
import type { Timing } from '../../../../src/core/schedule.ts';
import { nextTick, nextTicks, TimingError } from '../../../../src/server/control/schedules/ticks.ts';

/** The first ticks after `from`, as times. */
function ticks(timing: Timing, from: string, count = 3): string[] {
  const after = Date.parse(from);
  return nextTicks(timing, { anchor: after, after, count }).map((tick) => new Date(tick).toISOString().slice(0, 16));
}
const berlin = (cron: string): Timing => ({ cron, timeZone: 'Europe/Berlin' });

test('a cron expression applies in its time zone', () => {
  expect(ticks(berlin('0 9 * * MON-FRI'), '2026-11-27T12:00Z')).toEqual([
    '2026-11-30T08:00',
    '2026-12-01T08:00',
    '2026-12-02T08:00',
  ]);
  expect(ticks({ cron: '0 9 * * *', timeZone: 'America/New_York' }, '2026-03-06T15:00Z')).toEqual([
    '2026-03-07T14:00',
    '2026-03-08T13:00',
    '2026-03-09T13:00',
  ]);
});

// The clocks of Berlin go from 02:00 to 03:00 on 2026-03-29, 01:00 UTC, and from 03:00 to 02:00 on 2026-10-25, 01:00 UTC.
test('a local time that a day skips becomes the moment of the change: the day has its run', () => {
  expect(ticks(berlin('30 2 * * *'), '2026-03-28T12:00Z')).toEqual([
    '2026-03-29T01:00',
    '2026-03-30T00:30',
    '2026-03-31T00:30',
  ]);
});

test('a local time that occurs twice on a day counts once, the first time', () => {
  expect(ticks(berlin('30 2 * * *'), '2026-10-24T12:00Z')).toEqual([
    '2026-10-25T00:30',
    '2026-10-26T01:30',
    '2026-10-27T01:30',
  ]);
});

test('a zone that abolished summer time has the same hour all year, and another one before', () => {
  const daily: Timing = { cron: '30 2 * * *', timeZone: 'America/Sao_Paulo' };
  expect(ticks(daily, '2026-10-31T12:00Z', 2)).toEqual(['2026-11-01T05:30', '2026-11-02T05:30']);
  expect(ticks(daily, '2026-02-14T12:00Z', 2)).toEqual(['2026-02-15T05:30', '2026-02-16T05:30']);
  expect(ticks(daily, '2018-11-02T12:00Z', 3)).toEqual(['2018-11-03T05:30', '2018-11-04T04:30', '2018-11-05T04:30']);
});

test('ticks several times an hour continue evenly through both changes', () => {
  expect(ticks(berlin('*/30 * * * *'), '2026-03-29T00:10Z', 4)).toEqual([
    '2026-03-29T00:30',
    '2026-03-29T01:00',
    '2026-03-29T01:30',
    '2026-03-29T02:00',
  ]);
  expect(ticks(berlin('*/30 * * * *'), '2026-10-25T00:10Z', 4)).toEqual([
    '2026-10-25T00:30',
    '2026-10-25T01:00',
    '2026-10-25T01:30',
    '2026-10-25T02:00',
  ]);
});

test('a change of half an hour, at Lord Howe, skips and repeats no run', () => {
  const lordHowe = (cron: string): Timing => ({ cron, timeZone: 'Australia/Lord_Howe' });
  // The clocks go from 02:00 to 02:30 on 2027-10-03, 15:30 UTC the day before, and from 02:00 to 01:30 on 2027-04-04, 15:00 UTC the day before.
  expect(ticks(lordHowe('15 2 * * *'), '2027-10-02T00:00Z', 2)).toEqual(['2027-10-02T15:30', '2027-10-03T15:15']);
  expect(ticks(lordHowe('45 1 * * *'), '2027-04-03T00:00Z', 2)).toEqual(['2027-04-03T14:45', '2027-04-04T15:15']);
  expect(ticks(lordHowe('*/15 * * * *'), '2027-10-02T15:00Z', 3)).toEqual([
    '2027-10-02T15:15',
    '2027-10-02T15:30',
    '2027-10-02T15:45',
  ]);
});

test('a zone without summer time, half an hour off, has the same time all year', () => {
  const kolkata: Timing = { cron: '30 2 * * *', timeZone: 'Asia/Kolkata' };
  expect(ticks(kolkata, '2027-03-27T12:00Z', 2)).toEqual(['2027-03-27T21:00', '2027-03-28T21:00']);
});

test('February 29 is due in leap years only, and L on the last day of each month', () => {
  expect(ticks(berlin('0 12 29 2 *'), '2027-01-01T00:00Z', 2)).toEqual(['2028-02-29T11:00', '2032-02-29T11:00']);
  expect(ticks(berlin('0 12 L * *'), '2028-02-01T00:00Z', 2)).toEqual(['2028-02-29T11:00', '2028-03-31T10:00']);
});

test('an interval counts from its anchor, also after missed ticks', () => {
  const timing = { everyMs: 60_000 };
  expect(nextTick(timing, { anchor: 1000, after: 1000 })).toBe(61_000);
  expect(nextTick(timing, { anchor: 1000, after: 60_999 })).toBe(61_000);
  expect(nextTick(timing, { anchor: 1000, after: 61_000 })).toBe(121_000);
  expect(nextTick(timing, { anchor: 1000, after: 10 * 60_000 })).toBe(601_000);
});

test('an interval that was counted from a clock that was ahead has ticks before its anchor', () => {
  expect(nextTick({ everyMs: 60_000 }, { anchor: 1_000_000, after: 100_000 })).toBe(160_000);
});

test('a date that does not exist is never due', () => {
  expect(ticks({ cron: '0 0 30 2 *', timeZone: 'UTC' }, '2026-01-01T00:00Z')).toEqual([]);
});

test.each([
  [{ cron: '61 * * * *', timeZone: 'UTC' }, 'cron', 'minute'],
  [{ cron: '* * * * * *', timeZone: 'UTC' }, 'cron', 'five fields'],
  [{ cron: 'soon', timeZone: 'UTC' }, 'cron', 'five fields'],
  [{ cron: '* * * * *', timeZone: 'Mars/Olympus' }, 'time_zone', 'not an IANA time zone'],
] as const)('%j is refused at %s', (timing, field, message) => {
  const attempt = () => nextTick(timing, { anchor: 0, after: 0 });
  expect(attempt).toThrow(TimingError);
  expect(attempt).toThrow(expect.objectContaining({ field, message: expect.stringContaining(message) }));
});
