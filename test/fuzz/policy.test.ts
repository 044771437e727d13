/**
 * Compares the decisions on random policies and requests with a simple and slow implementation, which uses a regular expression for
 * each pattern. The texts are made of few, similar parts, so that most patterns match something.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { matchesPath, matchesText } from '../../src/agent/runner/policy/glob.ts';
import { brokenRule, checkRules } from '../../src/agent/runner/policy/rules.ts';
import { announceSeed, SEED } from './seed.ts';

const CASES = 10_000;

const PATH_PIECES = ['/', 'a', 'bin', '.', '\n', 'é', '😀', '[', '(a+)+', '\\', '$'];
const GLOBS = ['*', '**', '?', '***', '/**/'];
const path = fc.string({ unit: fc.constantFrom(...PATH_PIECES), maxLength: 8 }).map((text) => `/${text}`);
const fewPaths = fc.constantFrom('/a', '/bin/a', '/bin/a/b', '/bin');
const fewGlobs = fc.constantFrom('/**', '/*', '/bin/*', '/bin/**', '/a', '/b?n', '/*/a');
const word = fc.constantFrom('a', 'b', 'ab', '', '-a', 'a=b');
const wordGlob = fc.constantFrom('a', '*', '?', 'a*', '**', '-*', '');
const command = fc.oneof(
  fewGlobs,
  fc
    .tuple(fewGlobs, fc.array(fc.oneof(wordGlob, fc.constant('**')), { maxLength: 3 }))
    .map(([file, args]) => [file, ...args]),
);

const someRules = fc.record(
  {
    allow_commands: fc.array(command, { minLength: 1, maxLength: 3 }),
    deny_commands: fc.array(command, { maxLength: 1 }),
    allow_cwd: fc.array(fewGlobs, { minLength: 1, maxLength: 3 }),
    allow_users: fc.array(wordGlob, { minLength: 1, maxLength: 2 }),
    deny_env: fc.array(wordGlob, { maxLength: 1 }),
  },
  { requiredKeys: [] },
);
const someRequest = fc.record({
  argv: fc.array(word, { minLength: 1, maxLength: 4 }),
  file: fewPaths,
  cwd: fewPaths,
  user: word,
  envNames: fc.array(word, { maxLength: 2 }),
});

/** `star`: the regular expression for `*`. */
function regularExpression(glob: string, star: string): RegExp {
  const source = (glob.match(/\*\*|./gsu) ?? []).map((part) => {
    if (part === '**') return '[^]*';
    if (part === '*') return star;
    if (part === '?') return star.slice(0, -1);
    return part.replace(/[\\^$.*+?()[\]{}|]/gu, '\\$&');
  });
  return new RegExp(`^(?:${source.join('')})$`, 'u');
}
const isPath = (glob: string, text: string) => regularExpression(glob, '[^/]*').test(text);
const isText = (glob: string, text: string) => regularExpression(glob, '[^]*').test(text);

function isCommand(pattern: string | string[], file: string, args: readonly string[]): boolean {
  if (typeof pattern === 'string') return isPath(pattern, file);
  const [program = '', ...globs] = pattern;
  const isOpen = globs.at(-1) === '**';
  const fixed = isOpen ? globs.slice(0, -1) : globs;
  const fits = isOpen ? args.length >= fixed.length : args.length === fixed.length;
  return isPath(program, file) && fits && fixed.every((glob, index) => isText(glob, args[index] ?? ''));
}

type Rules = Parameters<typeof brokenRule>[0];
type Request = typeof someRequest extends fc.Arbitrary<infer T> ? T : never;

function allowed(rules: Rules, { argv: [, ...args], file, cwd, user, envNames }: Request): boolean {
  const { allow_commands, deny_commands = [], allow_cwd, allow_users, deny_env = [] } = rules;
  if (deny_commands.some((pattern) => isCommand(pattern, file, args))) return false;
  if (deny_env.some((glob) => envNames.some((name) => isText(glob, name)))) return false;
  if (allow_commands?.some((pattern) => isCommand(pattern, file, args)) === false) return false;
  if (allow_cwd?.some((glob) => isPath(glob, cwd)) === false) return false;
  return allow_users?.some((glob) => isText(glob, user)) !== false;
}

/** A text, and a pattern made from it by replacing some characters with a wildcard or another character. */
const textAndGlob = path.chain((text) => {
  const characters = [...text];
  const wildcards = fc.array(fc.constantFrom('', '', '', ...GLOBS, ...PATH_PIECES), {
    minLength: characters.length,
    maxLength: characters.length,
  });
  return wildcards.map((chosen) => ({ text, glob: characters.map((own, index) => chosen[index] || own).join('') }));
});

test('a glob matches like its regular expression', () => {
  announceSeed('globs', CASES);
  const seen = { matching: 0, other: 0 };
  fc.assert(
    fc.property(textAndGlob, ({ text, glob }) => {
      expect(matchesPath(glob, text)).toBe(isPath(glob, text));
      expect(matchesText(glob, text)).toBe(isText(glob, text));
      seen[isPath(glob, text) ? 'matching' : 'other'] += 1;
    }),
    { numRuns: CASES, seed: SEED, endOnFailure: true },
  );
  expect(Math.min(seen.matching, seen.other)).toBeGreaterThan(CASES / 20);
});

test('the verdict is that of regular expressions, for any policy and request', () => {
  announceSeed('policy', CASES);
  const seen = { allowed: 0, denied: 0 };
  fc.assert(
    fc.property(someRules, someRequest, (rules, request) => {
      const verdict = checkRules(rules, request).allowed && brokenRule(rules, request) === undefined;
      expect(verdict).toBe(allowed(rules, request));
      seen[verdict ? 'allowed' : 'denied'] += 1;
    }),
    { numRuns: CASES, seed: SEED, endOnFailure: true },
  );
  expect(Math.min(seen.allowed, seen.denied)).toBeGreaterThan(CASES / 20);
});
