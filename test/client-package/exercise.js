/** Uses the client library as it is published; nothing here is of Node or of a browser alone. Returns what it saw, for each feature. */
import { Execplane, FileError, RefusedError } from 'execplane/client';

const OUTPUT_BYTES = 20_000_000;

export async function exercise({ url, apiKey, machineId, directory }) {
  const client = new Execplane({ url, apiKey });
  const machine = client.machine(machineId);
  const seen = {};

  const { exitCode, stdout, stderr } = await machine.run(['sh', '-c', 'cat; echo err >&2; exit 3'], { stdin: 'in' });
  seen.run = [exitCode, stdout, stderr];

  const streamed = await machine.start(['head', '-c', String(OUTPUT_BYTES), '/dev/zero'], { output: 'stream' });
  let bytes = 0;
  const reader = streamed.stdout.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) bytes += next.value.length;
  seen.stream = bytes === OUTPUT_BYTES && (await streamed.result).status;

  const fed = await machine.start(['cat'], { output: 'stream' });
  const writer = fed.stdin.getWriter();
  await writer.write(new TextEncoder().encode('fed'));
  await writer.close();
  seen.stdin = await new Response(fed.stdout).text();

  const events = [];
  for await (const event of await machine.start(['true'], { stdin: 'none' })) events.push(event.status ?? event.type);
  seen.events = events.at(-1);

  const abort = new AbortController();
  const running = machine.run(['sleep', '300'], { signal: abort.signal });
  abort.abort(new Error('enough'));
  seen.abort = await running.catch((error) => error.message);

  await machine.files.write(`${directory}/file`, 'content');
  seen.file = new TextDecoder().decode(await machine.files.read(`${directory}/file`));
  seen.fileError = await machine.files.read(`${directory}/none`).catch((error) => error instanceof FileError);
  seen.refusal = await client.machines.get('dm-none').catch((error) => error instanceof RefusedError && error.status);

  const left = await machine.run(['sh', '-c', 'printf left > "$ARTIFACTS_DIR/a.txt"']);
  const { items } = await machine.artifacts.list({ executionId: left.executionId });
  const content = [];
  for await (const piece of machine.artifacts.content(items[0])) content.push(new TextDecoder().decode(piece));
  seen.artifact = [items[0].name, content.join('')];

  const terminal = await machine.terminal({ width: 80, height: 24, shell: '/bin/sh' });
  await terminal.ready();
  const stream = terminal.attach({ offset: 0 });
  stream.write('exit 5\n');
  for await (const _ of stream);
  seen.terminal = (await stream.end).exitCode;
  return seen;
}
