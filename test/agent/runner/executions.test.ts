import { expect, test } from 'vitest';
import { agentDirectory, startRunner } from '../../helpers/runner-process.ts';
import { TestLink } from '../../helpers/test-link.ts';

async function linked(): Promise<TestLink> {
  const directory = agentDirectory();
  await startRunner(directory);
  return TestLink.attach(directory);
}

test('a command is started, its output reported, its end reported last', async () => {
  const link = await linked();
  const { records, stdout, stderr, ended } = await link.run('a', ['/bin/sh', '-c', 'echo out; echo err >&2']);
  expect(stdout.toString()).toBe('out\n');
  expect(stderr.toString()).toBe('err\n');
  expect(records.map(({ number }) => number)).toEqual(records.map((_, i) => i + 1));
  expect(records[0]?.kind).toBe(1);
  expect(ended).toEqual({
    status: 'succeeded',
    exit_code: 0,
    stdout_bytes: 4,
    stderr_bytes: 4,
    stdout_truncated: false,
    stderr_truncated: false,
  });
  await link.close();
});
