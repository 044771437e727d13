import { expect, test } from 'vitest';
import { EMPTY_FORM } from '../../../src/console/run/request.ts';
import { samplesOf, targetOf } from '../../../src/console/run/samples.ts';

test('samples contain the request, but no value of the environment', () => {
  const body = { command: ['/bin/sh', '-c', "echo 'x'"], env: { TOKEN: 'secret-1' }, timeout_ms: 90_000, cwd: '/srv' };
  const [curl, cli, client] = samplesOf({ target: { machineId: 'dm-a' }, body, url: 'https://x.example' });
  expect(curl?.text).toContain('https://x.example/v1/machines/dm-a/executions?wait_ms=55000');
  expect(cli?.text).toBe(
    `execplane exec dm-a --cwd /srv --env 'TOKEN=…' --timeout 90s -- /bin/sh -c 'echo '\\''x'\\'''`,
  );
  expect(client?.text).toContain('.machine("dm-a").run(["/bin/sh","-c","echo \'x\'"]');
  for (const sample of [curl, cli, client]) expect(sample?.text).not.toContain('secret-1');
});

test('samples contain the limits', () => {
  const body = { command: ['make'], limits: { memory_bytes: 1024, cpus: 1.5, pids: 9 } };
  const [, cli, client] = samplesOf({ target: { machineId: 'dm-a' }, body, url: 'https://x.example' });
  expect(cli?.text).toBe('execplane exec dm-a --memory 1024 --cpus 1.5 --pids 9 -- make');
  expect(client?.text).toContain('"limits":{"memory_bytes":1024,"cpus":1.5,"pids":9}');
});

test('samples of a batch name its labels and limits', () => {
  const form = { ...EMPTY_FORM, on: 'labels' as const, labels: 'role=web', maxFailures: '1' };
  const [curl, cli, client] = samplesOf({
    target: targetOf(form),
    body: { command: ['uptime'] },
    url: 'https://x.example',
  });
  expect(curl?.text).toContain('https://x.example/v1/batches?wait_ms=55000');
  expect(curl?.text).toContain('{"selector":{"labels":{"role":"web"}},"max_failures":1,"command":["uptime"]}');
  expect(cli?.text).toBe('execplane exec --label role=web --max-failures 1 -- uptime');
  expect(client?.text).toContain('batches.create({"selector":{"labels":{"role":"web"}},"max_failures":1,');
});
