/** Kills each process (-9) at each named point of an execution. The execution must run once or end as agent_lost. */
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import type { WireExecution } from '../helpers/client.ts';
import { processesWith, until } from '../helpers/processes.ts';
import { isData, payloadText } from './frames.ts';
import type { Direction } from './proxy.ts';
import { type Scene, withScene } from './scene.ts';

const LINES = Array.from({ length: 2000 }, (_, n) => `${n + 1}\n`).join('');
const STDOUT = `${LINES}done\n`;

type Point = (frame: Buffer, way: Direction) => boolean;
const control = (frame: Buffer, type: string) => payloadText(frame).includes(`"type":"${type}"`);
const POINTS: Record<string, Point> = {
  'its start goes out': (frame, way) => way === 'to_agent' && control(frame, 'start'),
  'its first report comes in': (frame, way) => way === 'to_server' && !payloadText(frame).startsWith('{'),
  'its first acknowledgement goes out': (frame, way) => way === 'to_agent' && control(frame, 'ack'),
};
const VICTIMS = ['server', 'link', 'runner'] as const;
type Victim = (typeof VICTIMS)[number];

/** Kills `victim` when the first frame that matches `point` passes. Settles when the process is dead. */
function strike(scene: Scene, victim: Victim, point: Point): Promise<void> {
  const runner = scene.agent.runnerPid();
  return new Promise((resolve) => {
    scene.proxy.rule((frame, way) => {
      if (!isData(frame) || !point(frame, way)) return 'pass';
      scene.proxy.rule(() => 'pass');
      if (victim === 'runner') process.kill(runner, 'SIGKILL');
      const gone = {
        server: () => scene.deployment.server.kill(),
        link: () => scene.agent.killLink(),
        runner: async () => {},
      };
      void gone[victim]().then(resolve);
      return 'pass';
    });
  });
}

/** Creates an execution with one Idempotency-Key and retries until the server answers. */
async function create(scene: Scene): Promise<string> {
  const headers = { 'idempotency-key': randomUUID() };
  const script = 'echo "$EXECUTION_ID" >> "$STARTS"; seq 1 2000; sleep 0.3; echo done';
  const body = { command: ['/bin/sh', '-c', script], env: { STARTS: scene.starts } };
  const { path, client } = scene.machine;
  let id: string | undefined;
  await until('it is created', async () => {
    const created = await client.ask<WireExecution>('POST', path, { body, headers }).catch(() => undefined);
    id = created?.execution_id;
    return id !== undefined;
  });
  return id as string;
}

test.each(VICTIMS.flatMap((victim) => Object.entries(POINTS).map(([name, point]) => ({ victim, name, point }))))(
  'the $victim is killed as $name',
  ({ victim, point }) =>
    withScene({}, async (scene) => {
      const struck = strike(scene, victim, point);
      const creating = create(scene);
      await struck;
      if (victim === 'server') await scene.deployment.server.restart();
      if (victim === 'link') scene.agent.restart();
      const id = await creating;
      const { status, error_code } = await scene.machine.ended(id);
      const stdout = await scene.stdoutOf(id);
      if (victim === 'runner') {
        expect([status, error_code]).toEqual(['failed', 'agent_lost']);
        expect(STDOUT.startsWith(stdout)).toBe(true);
        expect(scene.startsOf(id)).toBeLessThanOrEqual(1);
      } else {
        expect([status, stdout === STDOUT, scene.startsOf(id)]).toEqual(['succeeded', true, 1]);
      }
      const log = await scene.machine.events(id);
      expect(log.map(({ sequence }) => sequence)).toEqual(log.map((_, n) => n + 1));
      expect(processesWith(`EXECUTION_ID=${id}`)).toEqual([]);
    }),
);
