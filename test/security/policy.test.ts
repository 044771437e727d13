/** The policy on the machine: the example in the document works as described, and no request can block the runner. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { matchesText } from '../../src/agent/runner/policy/glob.ts';
import type { PolicyRequest } from '../../src/agent/runner/policy/policy.ts';
import { brokenRule, checkRules } from '../../src/agent/runner/policy/rules.ts';
import type { Rules } from '../../src/agent/schemas/policy.ts';

const DOCUMENT = readFileSync(new URL('../../docs/policy.md', import.meta.url), 'utf8');
const EXAMPLE = JSON.parse(/```json\n(.*?)```/s.exec(DOCUMENT)?.[1] ?? '') as Rules;

interface Wanted extends PolicyRequest {
  cwd: string;
}

/** The refusal that the caller gets, or the limits of an allowed command. */
const verdict = (argv: string[], more: Partial<Wanted> = {}) => {
  const { cwd, ...request } = { cwd: '/srv/app/current', user: 'deploy', envNames: ['VERSION'], ...more };
  const first = checkRules(EXAMPLE, request);
  const rule = first.allowed ? brokenRule(EXAMPLE, { argv, file: argv[0] ?? '', cwd }) : undefined;
  return rule === undefined ? first : { allowed: false, rule };
};

test('the example allows the commands that the document lists', () => {
  expect(verdict(['/srv/app/bin/deploy', '--fast'])).toEqual({
    allowed: true,
    asks: true,
    limits: { memoryBytes: 1_073_741_824, cpus: 2, pids: 256 },
    maxTimeoutMs: 600_000,
    maxOutputBytes: 1_048_576,
  });
  expect(verdict(['/usr/bin/systemctl', 'restart', 'app.service']).allowed).toBe(true);
  expect(verdict(['/usr/bin/journalctl', '-u', 'app.service', '-n', '100']).allowed).toBe(true);
});

test.each<[string, string[], Partial<Wanted>, string]>([
  ['a shell', ['/bin/sh', '-c', '/srv/app/bin/deploy'], {}, 'allow_commands'],
  ['another service', ['/usr/bin/systemctl', 'restart', 'sshd.service'], {}, 'allow_commands'],
  ['one more argument', ['/usr/bin/systemctl', 'restart', 'app.service', 'sshd'], {}, 'allow_commands'],
  ['a script below', ['/srv/app/bin/sub/deploy'], {}, 'allow_commands'],
  ['a denied one among the allowed', ['/srv/app/bin/drop-database'], {}, 'deny_commands'],
  ['a loader variable', ['/srv/app/bin/deploy'], { envNames: ['LD_PRELOAD'] }, 'deny_env'],
  ['another directory', ['/srv/app/bin/deploy'], { cwd: '/etc' }, 'allow_cwd'],
  ['another user', ['/srv/app/bin/deploy'], { user: 'root' }, 'allow_users'],
])('the example refuses %s with the rule %4$s', (_name, argv, more, rule) => {
  expect(verdict(argv, more)).toMatchObject({ allowed: false, rule: expect.stringContaining(rule) });
});

test('the document describes every rule, and no other', () => {
  const told = [...DOCUMENT.matchAll(/^\| `(\w+)` \|/gm)].map((match) => match[1]);
  expect(told).toEqual(Object.keys(EXAMPLE));
});

test('an argument made to match slowly is matched as fast as any other', () => {
  expect(matchesText('*a*a*a*a*a*b', 'a'.repeat(131_072))).toBe(false);
});
