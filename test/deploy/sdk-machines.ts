/**
 * Calls the API by the official TypeScript SDK of the Dedalus Machines API, on machines of a real provider: all calls for machines,
 * and default query parameters to run a command and return its output with one request. docker-provider.sh runs this program.
 *
 *   node test/deploy/sdk-machines.ts MODULE URL KEY     MODULE: the SDK, as one file or as an installed package's entry
 */
import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

interface Machine {
  machine_id: string;
  vcpu: number;
  memory_mib: number;
  desired_state: string;
  status: { phase: string; reason: string; revision: string };
}

interface Execution {
  status: string;
  output?: { stdout: string };
}

interface Page extends AsyncIterable<Machine> {
  items: Machine[];
  next_cursor: string | null;
}

/** The answer of a call; `withResponse` also returns the headers. */
type Call<T> = Promise<T> & { withResponse(): Promise<{ data: T; response: Response }> };
type One = { machine_id: string };
type Options = { headers: Record<string, string> };

/** The part of the SDK that this script uses. */
interface Sdk {
  machines: {
    create(p: { vcpu: number; memory_mib: number; storage_gib: number; autosleep?: string }): Call<Machine>;
    retrieve(p: One): Call<Machine>;
    update(p: One & { memory_mib: number }, options?: Options): Call<Machine>;
    list(p: { limit: number }): Promise<Page>;
    delete(p: One, options?: Options): Call<Machine>;
    sleep(p: One): Call<Machine>;
    wake(p: One): Call<Machine>;
    watch(p: One & { 'Last-Event-ID'?: string }): Promise<AsyncIterable<Machine>>;
    executions: { create(p: One & { command: string[] }): Promise<Execution> };
  };
}

const [module = '', baseURL, apiKey] = process.argv.slice(2);
const { default: Dedalus } = (await import(pathToFileURL(resolve(module)).href)) as {
  default: new (options: object) => Sdk;
};
const defaultQuery = { wait_ms: '55000', include: 'output' };
const { machines } = new Dedalus({ baseURL, apiKey, defaultQuery, maxRetries: 1 });

const SIZE = { vcpu: 0.5, memory_mib: 512, storage_gib: 1 };
const made = await Promise.all([machines.create({ ...SIZE, autosleep: '7d3h4s' }), machines.create(SIZE)]);
const [first, second] = made;
const one = { machine_id: first.machine_id };

await passes('create, and a stream of its status', async () => {
  assert.equal(first.desired_state, 'running');
  for (const machine of made) assert.equal(await followed(machine), 'running agent_connected');
});

await passes('retrieve, with a revision as its ETag', async () => {
  const { data, response } = await machines.retrieve(one).withResponse();
  assert.equal(data.vcpu, SIZE.vcpu);
  assert.equal(response.headers.get('etag'), `"${data.status.revision}"`);
});

await passes('list, page by page', async () => {
  const page = await machines.list({ limit: 1 });
  assert.equal(page.items.length, 1);
  assert.ok(page.next_cursor);
  const seen: string[] = [];
  for await (const machine of page) seen.push(machine.machine_id);
  assert.deepEqual(seen.sort(), made.map(({ machine_id: id }) => id).sort());
});

await passes('update, only at the revision of If-Match', async () => {
  const { status } = await machines.retrieve(one);
  const stale = machines.update({ ...one, memory_mib: 640 }, { headers: { 'If-Match': '"1"' } });
  await refused(stale, 409, 'REVISION_MISMATCH');
  const current = { headers: { 'If-Match': `"${status.revision}"` } };
  assert.equal((await machines.update({ ...one, memory_mib: 640 }, current)).memory_mib, 640);
  assert.equal(await followed(one), 'running agent_connected');
});

await passes('a command and its output in one request', async () => {
  assert.equal(await stdoutOf(['sh', '-c', 'echo kept > /root/kept; echo done']), 'done\n');
});

await passes('sleep and wake', async () => {
  await machines.sleep(one);
  assert.equal(await followed(one), 'sleeping slept');
  await machines.wake(one);
  assert.equal(await followed(one), 'running agent_connected');
});

await passes('a command wakes a sleeping machine', async () => {
  await machines.sleep(one);
  assert.equal(await followed(one), 'sleeping slept');
  assert.equal(await stdoutOf(['cat', '/root/kept']), 'kept\n');
});

await passes('a stream that is resumed has at least the last state', async () => {
  const { status } = await machines.retrieve(one);
  assert.equal(await followed({ ...one, 'Last-Event-ID': status.revision }), 'running agent_connected');
});

await passes('delete', async () => {
  await machines.delete(one, { headers: { 'If-Match': '*' } });
  assert.equal(await followed(one), 'destroyed removed');
  assert.equal((await machines.retrieve(one)).desired_state, 'destroyed');
  assert.equal((await machines.delete(one)).desired_state, 'destroyed');
  await refused(machines.sleep(one), 409, 'INVALID_STATE');
  await machines.delete({ machine_id: second.machine_id });
  assert.equal(await followed(second), 'destroyed removed');
});

await passes('an unknown machine', () => refused(machines.retrieve({ machine_id: 'dm-unknown' }), 404));

async function passes(name: string, check: () => Promise<void>): Promise<void> {
  await check();
  process.stdout.write(`ok   the SDK: ${name}\n`);
}

/** Reads the status stream to its end. Returns the last phase and reason. */
async function followed(p: One & { 'Last-Event-ID'?: string }): Promise<string> {
  let last = '';
  for await (const { machine_id: id, status } of await machines.watch({ ...p })) {
    assert.equal(id, p.machine_id);
    last = `${status.phase} ${status.reason}`;
  }
  return last;
}

async function stdoutOf(command: string[]): Promise<string | undefined> {
  const execution = await machines.executions.create({ ...one, command });
  assert.equal(execution.status, 'succeeded');
  return execution.output?.stdout;
}

async function refused(call: Promise<unknown>, status: number, code?: string): Promise<void> {
  const error = await call.then(
    () => assert.fail(`not refused with ${status}`),
    (cause: { status?: number; error?: { error_code?: string } }) => cause,
  );
  assert.deepEqual([error.status, error.error?.error_code], [status, code]);
}
