import { describe, expect, test } from 'vitest';
import {
  batchOf,
  commandOf,
  EMPTY_FORM,
  faultsOf,
  formFrom,
  requestOf,
  scheduleOf,
  runAgainPath,
} from '../../../src/console/run/request.ts';

describe('the form of a command', () => {
  test('runs a shell line in a named shell, and arguments unchanged', () => {
    expect(commandOf({ ...EMPTY_FORM, line: 'ls | wc' })).toEqual(['/bin/sh', '-c', 'ls | wc']);
    expect(commandOf({ ...EMPTY_FORM, mode: 'argv', argv: 'ls\n\n-l a\n' })).toEqual(['ls', '', '-l a']);
  });

  test('becomes a request without unset fields', () => {
    const form = { ...EMPTY_FORM, machineId: 'dm-a', line: 'true' };
    expect(requestOf(form)).toEqual({ command: ['/bin/sh', '-c', 'true'] });
    const full = {
      ...form,
      env: [
        { name: 'A', value: '1' },
        { name: '', value: 'lost' },
      ],
      cwd: '/srv',
      user: 'deploy',
      timeout: '1m',
      stdin: 'in',
      memory: '1.5g',
      pids: '64',
      artifacts: 'dist/*.tgz report.html ',
    };
    expect(requestOf(full)).toEqual({
      command: ['/bin/sh', '-c', 'true'],
      env: { A: '1' },
      cwd: '/srv',
      user: 'deploy',
      timeout_ms: 60_000,
      stdin: 'in',
      artifacts: [{ path: 'dist/*.tgz' }, { path: 'report.html' }],
      limits: { memory_bytes: 1_610_612_736, pids: 64 },
    });
    expect(requestOf({ ...full, stdinOpen: true })).not.toHaveProperty('stdin');
  });

  test('becomes a batch on all machines with its labels', () => {
    const form = {
      ...EMPTY_FORM,
      on: 'labels' as const,
      line: 'true',
      stdinOpen: true,
      labels: ' role=web, site=berlin',
    };
    expect(batchOf(form)).toEqual({
      selector: { labels: { role: 'web', site: 'berlin' } },
      command: ['/bin/sh', '-c', 'true'],
    });
    expect(batchOf({ ...form, concurrency: '5', maxFailures: '0' })).toMatchObject({
      max_concurrency: 5,
      max_failures: 0,
    });
    expect(faultsOf(form)).toEqual({});
    const wrong = { ...form, labels: 'web', concurrency: '0', maxFailures: 'x' };
    expect(Object.keys(faultsOf(wrong))).toEqual(['labels', 'concurrency', 'maxFailures']);
    expect(Object.keys(faultsOf({ ...form, labels: ' ' }))).toEqual(['labels']);
  });

  test('becomes a schedule on one machine, or on all with its labels', () => {
    const form = {
      ...EMPTY_FORM,
      line: 'true',
      machineId: 'dm-a',
      when: 'cron' as const,
      cron: ' 0 3 * * * ',
      name: 'x',
    };
    const command = ['/bin/sh', '-c', 'true'];
    expect(scheduleOf({ ...form, timeZone: 'Europe/Oslo' })).toEqual({
      name: 'x',
      cron: '0 3 * * *',
      time_zone: 'Europe/Oslo',
      overlap: 'skip',
      selector: { machine_ids: ['dm-a'] },
      command,
    });
    const every = {
      ...form,
      when: 'every' as const,
      every: '15m',
      on: 'labels' as const,
      labels: 'role=web',
      name: '',
    };
    expect(scheduleOf({ ...every, overlap: 'queue' })).toEqual({
      every: '15m',
      overlap: 'queue',
      selector: { labels: { role: 'web' } },
      command,
    });
    expect(Object.keys(faultsOf({ ...form, cron: ' ' }))).toEqual(['cron']);
    expect(Object.keys(faultsOf({ ...every, every: '' }))).toEqual(['every']);
  });

  test('says what is missing', () => {
    expect(Object.keys(faultsOf(EMPTY_FORM))).toEqual(['machineId', 'line']);
    expect(Object.keys(faultsOf({ ...EMPTY_FORM, machineId: 'dm-a', line: 'x', timeout: 'soon' }))).toEqual([
      'timeout',
    ]);
  });

  test.each([[['/bin/sh', '-c', 'a "b" & c']], [['printf', '%s', 'two\nlines']]])(
    'repeats %j from its address',
    (command) => {
      const path = runAgainPath({ machine_id: 'dm-a', command, cwd: '/x', env_keys: ['TOKEN'] });
      const form = formFrom(new URL(path, 'http://localhost').searchParams);
      expect(form).toMatchObject({ machineId: 'dm-a', cwd: '/x', env: [{ name: 'TOKEN', value: '' }] });
      expect(commandOf(form)[0]).toBe(command[0]);
    },
  );

  test('is empty for an invalid address', () => {
    for (const command of ['{', '"x"', '[1]']) {
      expect(formFrom(new URLSearchParams({ command })).line).toBe('');
    }
  });
});
