import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { matchesPath, matchesText } from '../../../src/agent/runner/policy/glob.ts';
import type { PolicyRequest, PolicyVerdict, ResolvedRequest } from '../../../src/agent/runner/policy/policy.ts';
import { PolicyFile } from '../../../src/agent/runner/policy/policy-file.ts';
import { brokenRule, checkRules, type Rules } from '../../../src/agent/runner/policy/rules.ts';
import { agentDirectory, linkedRunner } from '../../helpers/runner-process.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const request = (more: Partial<PolicyRequest> = {}): PolicyRequest => ({ user: 'root', envNames: [], ...more });
const verdict = (rules: Rules, more?: Partial<PolicyRequest>): PolicyVerdict => checkRules(rules, request(more));
const GIT: ResolvedRequest = { argv: ['git', 'push', 'origin'], file: '/opt/bin/git', cwd: '/' };

test('globs: one segment, any, one character; nothing else is special', () => {
  expect(matchesPath('/usr/bin/*', '/usr/bin/env')).toBe(true);
  expect(matchesPath('/usr/*', '/usr/bin/env')).toBe(false);
  expect(matchesPath('/usr/**', '/usr/bin/env')).toBe(true);
  expect(matchesPath('/a.b', '/axb')).toBe(false);
  expect(matchesPath('/a?b', '/a/b')).toBe(false);
  expect(matchesText('LD_*', 'LD_PRELOAD')).toBe(true);
  expect(matchesText('*', 'a/b\nc')).toBe(true);
  expect(matchesText('(a|b)+[c]$', '(a|b)+[c]$')).toBe(true);
});

test.each<[string, Rules, boolean]>([
  ['no rules', {}, true],
  ['allowed by its path', { allow_commands: ['/opt/bin/*'] }, true],
  ['not among the allowed', { allow_commands: ['/usr/bin/*'] }, false],
  ['nothing allowed', { allow_commands: [] }, false],
  ['denied by its path', { deny_commands: ['**/git'] }, false],
  ['denied by an argument', { deny_commands: [['**', 'push', '**']] }, false],
  ['another argument denied', { deny_commands: [['**', 'pull', '**']] }, true],
  ['arguments in full', { allow_commands: [['/opt/bin/git', 'push', 'orig*']] }, true],
  ['one argument too many', { allow_commands: [['/opt/bin/git', 'push']] }, false],
  ['denied beats allowed', { allow_commands: ['**'], deny_commands: ['**/git'] }, false],
  ['user', { allow_users: ['deploy'] }, false],
  ['user by glob', { allow_users: ['ro*'] }, true],
  ['cwd', { allow_cwd: ['/srv/**'] }, false],
])('%s', (_name, rules, allowed) => {
  const first = verdict(rules);
  expect(first.allowed && (!first.asks || brokenRule(rules, GIT) === undefined)).toBe(allowed);
});

test('a variable that no caller sets, and ceilings', () => {
  expect(verdict({ deny_env: ['LD_*'] }, { envNames: ['A', 'LD_PRELOAD'] })).toEqual({
    allowed: false,
    rule: 'deny_env includes LD_PRELOAD',
  });
  expect(verdict({ max_timeout_ms: 5, max_output_bytes: 0 })).toEqual({
    allowed: true,
    asks: false,
    maxTimeoutMs: 5,
    maxOutputBytes: 0,
  });
});

test('a file that is not there allows; one that is broken, or open to others, denies; a change counts at once', () => {
  const path = join(agentDirectory(), 'policy.json');
  const policy = new PolicyFile(path, { required: false });
  const write = (content: string, mode = 0o600) => {
    writeFileSync(path, content);
    chmodSync(path, mode);
  };
  expect(policy.check(request()).allowed).toBe(true);
  write('{}');
  expect(policy.check(request()).allowed).toBe(true);
  for (const broken of ['{', '[]', '{"allow_command": []}', '{"allow_users": "root"}', '{"deny_commands": [[]]}']) {
    write(broken);
    expect(policy.check(request())).toMatchObject({ allowed: false, rule: expect.stringContaining('policy.json') });
  }
  write('{}', 0o666);
  expect(policy.check(request())).toEqual({ allowed: false, rule: 'other users can change policy.json' });
  rmSync(path);
  mkdirSync(path);
  expect(policy.check(request()).allowed).toBe(false);
});

test('a file that is required and missing denies', () => {
  const policy = new PolicyFile(join(agentDirectory(), 'policy.json'), { required: true });
  expect(policy.check(request())).toMatchObject({ allowed: false, rule: expect.stringContaining('missing') });
});

test('what the policy refuses never starts, and names the rule', async () => {
  const { link, directory } = await linkedRunner();
  writeFileSync(join(directory, 'policy.json'), '{"deny_commands": ["**/true"], "max_timeout_ms": 100}', {
    mode: 0o600,
  });
  const { ended, started } = await link.run('a', ['true']);
  expect(ended).toMatchObject({ status: 'failed', error_code: 'policy_denied' });
  expect(ended.error_message).toContain('deny_commands');
  expect(started).toBe(false);
  expect((await link.run('b', ['/bin/sleep', '60'])).ended.error_code).toBe('timeout');
});
