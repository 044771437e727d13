/** Every request of the client ends when its signal aborts. */
import { expect, test } from 'vitest';
import { Execplane } from '../../src/client/main.ts';
import { answeredExecution } from './answers.ts';
import { cut, json, scriptedServer } from './scripted-server.ts';

type Options = { signal: AbortSignal };

const NEVER = (): void => {};
const POLL = { timeout: 20_000 };
const REASON = new Error('enough');

const client = (url: string) => new Execplane({ url, apiKey: 'xpk_test' });
const handle = (c: Execplane) => c.machine('dm-one').execution('ex-1');
const terminal = (c: Execplane) => c.machine('dm-one').terminal('term-1');
const selector = { machine_ids: ['dm-one'] };

const REQUESTS: Record<string, (c: Execplane, options: Options) => PromiseLike<unknown>> = {
  ready: (c, options) => c.ready(options),
  'machines.list': (c, options) => c.machines.list(options),
  'machines.get': (c, options) => c.machines.get('dm-one', options),
  'machines.find': (c, options) => c.machines.find('web-1', options),
  'machines.create': (c, options) => c.machines.create({}, options),
  'machines.update': (c, options) => c.machines.update('dm-one', {}, options),
  'machines.wake': (c, options) => c.machines.wake('dm-one', options),
  'machines.sleep': (c, options) => c.machines.sleep('dm-one', options),
  'machines.remove': (c, options) => c.machines.remove('dm-one', options),
  'machines.rotate': (c, options) => c.machines.rotate('dm-one', options),
  'keys.create': (c, options) => c.keys.create({ name: 'ci', scopes: ['admin'] }, options),
  'keys.revoke': (c, options) => c.keys.revoke('key-1', options),
  'joinTokens.create': (c, options) => c.joinTokens.create({}, options),
  'joinTokens.revoke': (c, options) => c.joinTokens.revoke('join-1', options),
  'audit.release': (c, options) => c.audit.release('1', options),
  'audit.export': (c, options) => Array.fromAsync(c.audit.export(options)),
  'batches.create': (c, options) => c.batches.create({ selector, command: ['true'] }, options),
  'batches.get': (c, options) => c.batches.get('batch-1', options),
  'batches.cancel': (c, options) => c.batches.cancel('batch-1', options),
  'schedules.create': (c, options) => c.schedules.create({ selector, command: ['true'], every: '1d' }, options),
  'schedules.preview': (c, options) => c.schedules.preview({ every: '1d' }, options),
  'schedules.get': (c, options) => c.schedules.get('sched-1', options),
  'schedules.update': (c, options) => c.schedules.update('sched-1', {}, options),
  'schedules.pause': (c, options) => c.schedules.pause('sched-1', options),
  'schedules.resume': (c, options) => c.schedules.resume('sched-1', options),
  'schedules.remove': (c, options) => c.schedules.remove('sched-1', options),
  'machine.get': (c, options) => c.machine('dm-one').get(options),
  'machine.run': (c, options) => c.machine('dm-one').run(['true'], options),
  'machine.start': (c, options) => c.machine('dm-one').start(['true'], options),
  'machine.terminal': (c, options) => c.machine('dm-one').terminal({ width: 80, height: 24, ...options }),
  'machine.artifacts.get': (c, options) => c.machine('dm-one').artifacts.get('art-1', options),
  'machine.artifacts.delete': (c, options) => c.machine('dm-one').artifacts.delete('art-1', options),
  'machine.files.read': (c, options) => c.machine('dm-one').files.read('/x', options),
  'execution.get': (c, options) => handle(c).get(options),
  'execution.waitForEnd': (c, options) => handle(c).waitForEnd(options),
  'execution.output': (c, options) => handle(c).output(options),
  'execution.part': (c, options) => handle(c).part('stdout', { offset: 0, length: 1, ...options }),
  'execution.kept': (c, options) => Array.fromAsync(handle(c).kept('stdout', options)),
  'execution.log': (c, options) => Array.fromAsync(handle(c).log(options)),
  'execution.events': (c, options) => Array.fromAsync(handle(c).events(options)),
  'execution.merged': (c, options) => Array.fromAsync(handle(c).merged(options)),
  'execution.writeStdin': (c, options) => handle(c).writeStdin(new Uint8Array(1), options),
  'execution.signal': (c, options) => handle(c).signal('SIGHUP', options),
  'execution.resize': (c, options) => handle(c).resize({ width: 1, height: 1 }, options),
  'execution.cancel': (c, options) => handle(c).cancel(options),
  'terminal.get': (c, options) => terminal(c).get(options),
  'terminal.ready': (c, options) => terminal(c).ready(options),
  'terminal.close': (c, options) => terminal(c).close(options),
};

test.each(Object.entries(REQUESTS))('%s rejects with the reason of its signal', async (_name, request) => {
  const server = await scriptedServer(NEVER);
  const abort = new AbortController();
  const answer = Promise.resolve(request(client(server.url), { signal: abort.signal }));
  const settled = expect(answer).rejects.toBe(REASON);
  await expect.poll(() => server.asked.length, POLL).toBe(1);
  abort.abort(REASON);
  await settled;
});

test.each([
  ['run', (c: Execplane, options: Options) => c.machine('dm-one').run(['true'], options)],
  ['start', (c: Execplane, options: Options) => c.machine('dm-one').start(['true'], options)],
])('%s cancels an execution that the server makes after the abort', async (_name, request) => {
  const created = Promise.withResolvers<() => void>();
  const server = await scriptedServer(
    (response, asked) => created.resolve(() => json(answeredExecution('ex-late'))(response, asked)),
    json(answeredExecution('ex-late')),
  );
  const abort = new AbortController();
  const settled = expect(request(client(server.url), { signal: abort.signal })).rejects.toBe(REASON);
  const answer = await created.promise;
  abort.abort(REASON);
  await settled;
  answer();
  await expect
    .poll(() => server.asked.at(-1), POLL)
    .toMatchObject({ method: 'DELETE', path: '/v1/machines/dm-one/executions/ex-late' });
});

test('a part of the output is read again if its answer breaks off', async () => {
  const server = await scriptedServer(cut('half of it'), (response) => response.end('all of it'));
  const bytes = await handle(client(server.url)).part('stdout', { offset: 0, length: 99 });
  expect(new TextDecoder().decode(bytes)).toBe('all of it');
});
