/** What the console makes of what people type, and what it tells them. */
import { describe, expect, test } from 'vitest';
import type { Machine } from '../../src/console/data/machines.ts';
import { commandText, quoted, shellText } from '../../src/console/parts/command.ts';
import { ageText, bytesText, durationText, parseDuration } from '../../src/console/parts/duration.ts';
import { joiningState } from '../../src/console/pages/joining.ts';
import { commandOf, EMPTY_FORM, faultsOf, formFrom, requestOf, runAgainPath } from '../../src/console/run/request.ts';
import { samplesOf } from '../../src/console/run/samples.ts';

describe('times and sizes', () => {
  test('spans', () => {
    expect([3, 1500, 59_000, 80_000, 3_600_000, 90_000_000].map(durationText)).toEqual([
      '3 ms',
      '1.5 s',
      '59 s',
      '1 m 20 s',
      '1 h',
      '1 d 1 h',
    ]);
  });

  test('ages', () => {
    expect([0, 5000, 3_700_000, -120_000].map(ageText)).toEqual(['now', '5 s ago', '1 h ago', 'in 2 m']);
  });

  test('sizes', () => {
    expect([0, 1023, 1536, 104_857_600].map(bytesText)).toEqual(['0 B', '1023 B', '1.5 KiB', '100 MiB']);
  });

  test('spans as people type them', () => {
    expect(['90', '90s', '1h30m', '250ms', ' 2d ', 'soon', '5x', ''].map(parseDuration)).toEqual([
      90_000,
      90_000,
      5_400_000,
      250,
      172_800_000,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('commands', () => {
  test('are quoted as a shell needs it', () => {
    expect(shellText(['echo', 'a b', "it's", '', '$HOME'])).toBe(`echo 'a b' 'it'\\''s' '' '$HOME'`);
    expect(quoted('plain-1.2/x')).toBe('plain-1.2/x');
  });

  test('are shown as the line where a shell runs it', () => {
    expect(commandText(['/bin/sh', '-c', 'a | b'])).toBe('a | b');
    expect(commandText(['/bin/sh', '-c', 'a', 'b'])).toBe('/bin/sh -c a b');
  });
});

describe('the form of a command', () => {
  test('a shell line runs in a shell that is named, arguments run as they are', () => {
    expect(commandOf({ ...EMPTY_FORM, line: 'ls | wc' })).toEqual(['/bin/sh', '-c', 'ls | wc']);
    expect(commandOf({ ...EMPTY_FORM, mode: 'argv', argv: 'ls\n\n-l a\n' })).toEqual(['ls', '', '-l a']);
  });

  test('becomes a request without what is not set', () => {
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
    });
    expect(requestOf({ ...full, stdinOpen: true })).not.toHaveProperty('stdin');
  });

  test('says what is missing', () => {
    expect(Object.keys(faultsOf(EMPTY_FORM))).toEqual(['machineId', 'line']);
    expect(Object.keys(faultsOf({ ...EMPTY_FORM, machineId: 'dm-a', line: 'x', timeout: 'soon' }))).toEqual([
      'timeout',
    ]);
  });

  test.each([[['/bin/sh', '-c', 'a "b" & c']], [['printf', '%s', 'two\nlines']]])(
    'runs %j again from its address',
    (command) => {
      const path = runAgainPath({ machine_id: 'dm-a', command, cwd: '/x', env_keys: ['TOKEN'] });
      const form = formFrom(new URL(path, 'http://localhost').searchParams);
      expect(form).toMatchObject({ machineId: 'dm-a', cwd: '/x', env: [{ name: 'TOKEN', value: '' }] });
      expect(commandOf(form)[0]).toBe(command[0]);
    },
  );

  test('an address that anybody wrote is an empty form', () => {
    for (const command of ['{', '"x"', '[1]']) {
      expect(formFrom(new URLSearchParams({ command })).line).toBe('');
    }
  });
});

test('samples hold the request, and no value of the environment', () => {
  const body = { command: ['/bin/sh', '-c', "echo 'x'"], env: { TOKEN: 'secret-1' }, timeout_ms: 90_000, cwd: '/srv' };
  const [curl, cli, client] = samplesOf({ machineId: 'dm-a', body, url: 'https://x.example' });
  expect(curl?.text).toContain('https://x.example/v1/machines/dm-a/executions?wait_ms=55000');
  expect(cli?.text).toBe(
    `execplane exec dm-a --cwd /srv --env 'TOKEN=…' --timeout 90s -- /bin/sh -c 'echo '\\''x'\\'''`,
  );
  expect(client?.text).toContain('.machine("dm-a").run(["/bin/sh","-c","echo \'x\'"]');
  for (const sample of [curl, cli, client]) expect(sample?.text).not.toContain('secret-1');
});

describe('a machine that is to join', () => {
  const created = '2026-01-01T00:00:00.000Z';
  const now = Date.parse(created) + 5000;
  const token = {
    join_token_id: 'join-1',
    reusable: false,
    created_at: created,
    expires_at: '2026-01-01T01:00:00.000Z',
  };
  const enrolled = {
    audit_id: '1',
    at: '2026-01-01T00:00:04.000Z',
    actor: 'agent:dm-a',
    source: '10.0.0.1',
    action: 'machine.enrol',
    machine_id: 'dm-a',
    outcome: 'enrolled',
  };
  const machine = (phase: 'running' | 'placement_pending') =>
    ({ machine_id: 'dm-a', status: { phase } }) as unknown as Machine;
  const base = { token, usable: [token], machines: [], audit: [], waitedMs: 5000, now };

  test('is waited for, and after a while told what may be wrong', () => {
    expect(joiningState(base)).toEqual({ state: 'waiting', long: false });
    expect(joiningState({ ...base, waitedMs: 30_000 })).toEqual({ state: 'waiting', long: true });
  });

  test('has enrolled, and then is connected', () => {
    const used = { ...base, usable: [], audit: [enrolled] };
    expect(joiningState({ ...used, machines: [machine('placement_pending')] }).state).toBe('enrolled');
    expect(joiningState({ ...used, machines: [machine('running')] })).toEqual({ state: 'joined', machineId: 'dm-a' });
  });

  test('another machine that enrols meanwhile is not taken for it', () => {
    expect(joiningState({ ...base, audit: [enrolled] }).state).toBe('waiting');
    const bound = { ...token, machine_id: 'dm-b' };
    expect(joiningState({ ...base, token: bound, usable: [], audit: [enrolled] }).state).toBe('waiting');
  });

  test('its token expires', () => {
    expect(joiningState({ ...base, usable: [], now: now + 3_600_000 })).toEqual({ state: 'expired' });
  });
});
