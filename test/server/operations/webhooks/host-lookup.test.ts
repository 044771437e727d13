/** Name servers that do not answer. */
import { expect, test } from 'vitest';
import { lookUpAnyHost, lookUpPublicHost } from '../../../../src/server/operations/webhooks/host-lookup.ts';
import { startNameServer } from '../../../helpers/name-server.ts';

test('names whose server does not answer delay no other name (S11)', async () => {
  const { address, asked } = await startNameServer((name) =>
    name.startsWith('silent') ? undefined : ['198.51.100.7'],
  );
  const servers = [address];
  const ending = new AbortController();
  const { signal } = ending;
  let settled = 0;
  const silent = Array.from({ length: 64 }, (_, index) =>
    lookUpPublicHost(`silent-${index}.example`, { servers, signal }).finally(() => {
      settled += 1;
    }),
  );
  const refused = Promise.allSettled(silent);
  for (const name of ['a.example', 'b.example', 'c.example']) {
    expect(await lookUpPublicHost(name, { servers, signal })).toEqual([{ address: '198.51.100.7', family: 4 }]);
  }
  expect(settled).toBe(0);
  expect(new Set(asked.filter((name) => name.startsWith('silent'))).size).toBe(64);
  // The end of an attempt ends its lookup.
  ending.abort();
  expect(new Set((await refused).map(({ status }) => status))).toEqual(new Set(['rejected']));
});

test('an unknown name is an error with its code', async () => {
  const { address } = await startNameServer(() => []);
  await expect(
    lookUpPublicHost('none.example', { servers: [address], signal: new AbortController().signal }),
  ).rejects.toMatchObject({ code: 'ENOTFOUND' });
});

test('a name of /etc/hosts is found if private addresses are allowed', async () => {
  expect(await lookUpAnyHost('localhost')).toContainEqual({ address: '127.0.0.1', family: 4 });
});
