import { expect, test } from 'vitest';
import { TestPlane } from '../../../helpers/control-plane.ts';
import { ScriptedAgent } from '../../../helpers/scripted-agent.ts';

test('a create is sent straight to a connected agent, and its reports end the execution', async () => {
  const plane = await TestPlane.start();
  const agent = await ScriptedAgent.join(plane.url, await plane.machine());
  // The first create waits for the claims that follow the welcome. All later creates are dispatched at once.
  await plane.create();
  await agent.runNext();

  const created = await plane.create({
    command: ['cat'],
    stdin: { mode: 'fixed', bytes: Buffer.from('in') },
    env: { A: '1' },
    cwd: '/tmp',
    timeoutMs: 1000,
  });
  const start = await agent.next('start');
  expect(start).toMatchObject({
    execution_id: created.executionId,
    runner_instance: 'runner-1',
    dispatch_number: 2,
    command: ['cat'],
    env: { A: '1' },
    cwd: '/tmp',
    timeout_ms: 1000,
    stdin: 'fixed',
    grace_ms: 5000,
  });
  expect(start.attachment.toString()).toBe('in');

  agent.report(
    agent.started(created.executionId),
    agent.stdout(created.executionId, 'out'),
    agent.ended(created.executionId, { stdout_bytes: 3 }),
  );
  const ended = await plane.end(created);
  expect(ended).toMatchObject({ status: 'succeeded', exitCode: 0, stdout: { bytes: 3, truncated: false } });
  await agent.until((received) =>
    received.some(
      (frame) => frame.type === 'ack' && frame.acks.some(([id, upTo]) => id === created.executionId && upTo === 3),
    ),
  );
});
