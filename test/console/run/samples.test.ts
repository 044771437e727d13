import { expect, test } from 'vitest';
import { samplesOf } from '../../../src/console/run/samples.ts';

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
