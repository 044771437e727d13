/** A refused join token: the agent keeps running and waits for new settings. */
import { expect, test } from 'vitest';
import { EnrolRefusedError } from '../../../../src/agent/link/enrolment/enrol.ts';
import { type FirstCredentialOptions, firstCredential } from '../../../../src/agent/link/enrolment/first-credential.ts';

const CREDENTIAL = { machineId: 'dm-1', credential: 'xpa_1', enrolledWith: '' };
/** Returns the results one after the other, and the last one for all later calls. An error is thrown. */
type Tokens = (string | undefined | Error)[];

async function enrolling(tokens: Tokens, good: string, more: Partial<FirstCredentialOptions> = {}) {
  const seen = { tried: [] as string[], waited: [] as number[], warned: [] as unknown[] };
  const credential = await firstCredential({
    readToken: () => {
      const token = tokens.length > 1 ? tokens.shift() : tokens[0];
      if (token instanceof Error) throw token;
      return token;
    },
    enrol: async (token) => {
      seen.tried.push(token);
      if (token !== good) throw new EnrolRefusedError(`${token} is not taken.`);
      return CREDENTIAL;
    },
    pause: async (ms) => {
      seen.waited.push(ms);
    },
    log: { debug() {}, warn: (text: unknown) => seen.warned.push(text) },
    dir: '/agent',
    ...more,
  });
  return { ...seen, credential };
}

test('a refused enrolment is retried slowly, with the token that is in the file by then', async () => {
  const { tried, waited, warned, credential } = await enrolling(['old', 'old', 'old', 'new'], 'new');
  expect(tried).toEqual(['old', 'old', 'old', 'new']);
  expect(credential).toBe(CREDENTIAL);
  expect(waited).toHaveLength(3);
  for (const ms of waited) expect(ms).toBeGreaterThanOrEqual(30_000);
  // A repeated refusal is logged once.
  expect(warned).toEqual(['old is not taken. Trying again slowly.']);
});

test.each([
  ['stdin was read before', undefined],
  ['the file is gone', new Error('ENOENT')],
])('%s: the previous token is tried again', async (_, now) => {
  const tried: string[] = [];
  const enrol = async (token: string) => {
    if (tried.push(token) < 3) throw new EnrolRefusedError('not now.');
    return CREDENTIAL;
  };
  await enrolling(['first', now], '', { enrol });
  expect(tried).toEqual(['first', 'first', 'first']);
});

test('enrolling ends when the agent leaves, and on any other failure', async () => {
  const leaving = { pause: () => Promise.reject(new Error('aborted')) };
  await expect(enrolling(['old'], 'new', leaving)).rejects.toThrow('aborted');
  const damaged = { enrol: () => Promise.reject(new Error('disk full')) };
  await expect(enrolling(['old'], 'new', damaged)).rejects.toThrow('disk full');
});

test('a missing token is an error', async () => {
  await expect(enrolling([undefined], 'new')).rejects.toThrow('EXECPLANE_JOIN_TOKEN');
});
