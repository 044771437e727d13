import { chmodSync, mkdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { hostUser } from '../../../src/agent/runner/executions/host-user.ts';
import { prepareLaunch } from '../../../src/agent/runner/executions/launch.ts';
import { matchesPath, matchesText } from '../../../src/agent/runner/policy/glob.ts';
import type { Policy, PolicyRequest, PolicyVerdict, ResolvedRequest } from '../../../src/agent/runner/policy/policy.ts';
import { PolicyFile } from '../../../src/agent/runner/policy/policy-file.ts';
import { brokenRule, checkRules } from '../../../src/agent/runner/policy/rules.ts';
import type { Rules } from '../../../src/agent/schemas/policy.ts';
import type { Start } from '../../../src/core/protocol.ts';
import { oneTurn } from '../../helpers/one-turn.ts';
import { agentDirectory, linkedRunner } from '../../helpers/runner-process.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const request = (more: Partial<PolicyRequest> = {}): PolicyRequest => ({ user: 'root', envNames: [], ...more });
const verdict = (rules: Rules, more?: Partial<PolicyRequest>): PolicyVerdict => checkRules(rules, request(more));
const GIT: ResolvedRequest = { argv: ['git', 'push', 'origin'], file: '/opt/bin/git', cwd: '/' };

test('globs match one segment, any path or one character, and no other character is special', () => {
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
])('the policy rules: %s', (_name, rules, allowed) => {
  const first = verdict(rules);
  expect(first.allowed && (!first.asks || brokenRule(rules, GIT) === undefined)).toBe(allowed);
});

test("a request with a denied variable is refused, and an allowed one gets the policy's ceilings", () => {
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

test("a limit is the lower of the request and the policy's ceiling, also if none was requested", () => {
  const policy: Policy = { check: (asked) => checkRules({ max_memory_bytes: 1000, max_pids: 5 }, asked) } as Policy;
  const start = { execution_id: 'a', command: ['true'], max_output_bytes: 1, stdin: 'none' } as Start;
  const limitsOf = (limits?: Start['limits']) => {
    const prepared = prepareLaunch({ ...start, ...(limits && { limits }) }, hostUser({}), policy);
    return 'ok' in prepared && prepared.ok ? prepared.launch.request.limits : undefined;
  };
  expect(limitsOf()).toEqual({ memoryBytes: 1000, pids: 5 });
  expect(limitsOf({ memory_bytes: 999, cpus: 0.5, pids: 6 })).toEqual({ memoryBytes: 999, cpus: 0.5, pids: 5 });
});

test('a missing file allows; one that is malformed or writable by others denies; a change takes effect at once', () => {
  const path = join(agentDirectory(), 'policy.json');
  const policy = new PolicyFile(path, { required: false });
  const write = (content: string, mode = 0o600) => {
    writeFileSync(path, content);
    chmodSync(path, mode);
  };
  expect(policy.check(request()).allowed).toBe(true);
  write('{}');
  expect(policy.check(request()).allowed).toBe(true);
  for (const [broken, rule] of [
    ['{', 'policy.json must be a JSON object'],
    ['[]', 'policy.json must be a JSON object'],
    [
      '{"allow_command": []}',
      'policy.json: there is no rule allow_command. Correct its name, or remove it; the rules are allow_commands',
    ],
    ['{"allow_users": "root"}', 'policy.json: allow_users must be a list of users, such as ["deploy"]. Correct it'],
    ['{"deny_commands": [[]]}', 'policy.json: deny_commands must be a list of commands'],
    ['{"max_pids": 0}', 'policy.json: max_pids must be a whole number of processes above 0'],
    ['{"max_cpus": 1e999}', 'policy.json: max_cpus must be a number of processors above 0'],
  ] as const) {
    write(broken);
    expect(policy.check(request())).toMatchObject({ allowed: false, rule: expect.stringContaining(rule) });
  }
  write('{}', 0o666);
  expect(policy.check(request())).toEqual({ allowed: false, rule: 'other users can change policy.json' });
  rmSync(path);
  mkdirSync(path);
  expect(policy.check(request()).allowed).toBe(false);
});

test('a watched file takes effect after the turn in which it is made, and a link to a file made later at once', async () => {
  const directory = agentDirectory();
  const path = join(directory, 'policy.json');
  const policy = new PolicyFile(path, { required: false, watched: true });
  expect(policy.check(request()).allowed).toBe(true);
  await oneTurn();
  writeFileSync(path, '{"allow_users": []}', { mode: 0o600 });
  await oneTurn();
  expect(policy.check(request()).allowed).toBe(false);
  writeFileSync(path, '{"allow_users": ["**"]}', { mode: 0o600 });
  expect(policy.check(request()).allowed).toBe(true);
  rmSync(path);
  symlinkSync(join(agentDirectory(), 'elsewhere.json'), path);
  await oneTurn();
  expect(policy.check(request()).allowed).toBe(true);
  writeFileSync(readlinkSync(path), '{"allow_users": []}', { mode: 0o600 });
  expect(policy.check(request()).allowed).toBe(false);
});

test('a required file that is missing denies', () => {
  const policy = new PolicyFile(join(agentDirectory(), 'policy.json'), { required: true });
  expect(policy.check(request())).toMatchObject({ allowed: false, rule: expect.stringContaining('missing') });
});

test('a refused command never starts, and its error names the rule', async () => {
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
