/** output_mode "keep" (contract-files.md): of output beyond the limit, the last part is kept too. */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client as McpClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Execplane } from '../../src/client/main.ts';
import { Deployment } from '../helpers/harness.ts';
import { until } from '../helpers/processes.ts';

const CAP_BYTES = 1024 * 1024;
const TAIL_BYTES = 65_536;
const LAST = 5_300_000;
const sh = (script: string) => ({ command: ['/bin/sh', '-c', script] });
const EXACT = { include: 'tail', encoding: 'base64' };

let deployment: Deployment;
let printed: Buffer;
beforeAll(async () => {
  deployment = await Deployment.start({ server: { EXECPLANE_MAX_OUTPUT_BYTES: String(CAP_BYTES) } });
  await deployment.join('dm-node', { EXECPLANE_SPAWNER: 'node' });
  printed = execFileSync('seq', ['1', String(LAST)], { maxBuffer: 64 * CAP_BYTES });
});
afterAll(() => deployment.dispose());

const decoded = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64');

/** Checks the kept output of a command that printed `printed` on stdout and nothing on stderr. */
async function expectBothEnds(machineId: string, executionId: string): Promise<void> {
  const machine = deployment.client.machine(machineId);
  expect(await machine.ended(executionId)).toMatchObject({
    status: 'succeeded',
    stdout_bytes: printed.length,
    stdout_truncated: true,
    stderr_truncated: false,
  });
  const output = await machine.output(executionId, EXACT);
  expect(decoded(output.stdout).equals(printed.subarray(0, CAP_BYTES))).toBe(true);
  expect(decoded(output.stdout_tail).equals(printed.subarray(-TAIL_BYTES))).toBe(true);
  expect(output).not.toHaveProperty('stderr_tail');
  expect(await machine.output(executionId)).not.toHaveProperty('stdout_tail');
}

test.each(['dm-test', 'dm-node'])(
  '40 MB on %s: the first bytes and the last bytes are kept, and all are counted',
  async (machineId) => {
    expect(printed.length).toBeGreaterThan(40_000_000);
    const { execution_id: id } = await deployment.client.machine(machineId).create(sh(`seq 1 ${LAST}`));
    await expectBothEnds(machineId, id);
  },
);

test('both ends are exact although the link is killed while the command prints', async () => {
  const [go, over] = [join(deployment.dir, 'go'), join(deployment.dir, 'over')];
  const wait = `until [ -e ${go} ]; do sleep 0.05; done`;
  const halves = [`seq 1 2600000`, wait, `seq 2600001 ${LAST}`, `: > ${over}`];
  const { execution_id: id } = await deployment.machine.create(sh(halves.join('; ')));
  await until('bytes are counted', async () => ((await deployment.machine.read(id)).stdout_bytes ?? 0) > CAP_BYTES);
  await deployment.agent.killLink();
  writeFileSync(go, '');
  await until('the command is over', () => existsSync(over));
  await deployment.agent.restart();
  await expectBothEnds('dm-test', id);
});

test('one request returns both ends, and the tail never overlaps the kept beginning', async () => {
  const script = `head -c ${CAP_BYTES - 1} /dev/zero; printf 'ab€d'`;
  const ended = await deployment.machine.create(sh(script), { wait_ms: 30_000, include: 'output,tail' });
  expect(ended).toMatchObject({ stdout_bytes: CAP_BYTES + 5, output: { stdout_truncated: true, stdout_tail: 'b€d' } });
});

test('the client library and the MCP server return both ends as well', async () => {
  const command = ['/bin/sh', '-c', `seq 1 ${LAST}`];
  const { url, key } = deployment.server;
  const machine = new Execplane({ url, apiKey: key }).machine('dm-test');
  const result = await machine.run(command);
  expect([result.stdoutTruncated, result.stderrTruncated]).toEqual([true, false]);
  expect(result.stdoutTail).toBe(printed.subarray(-TAIL_BYTES).toString());
  expect(result).not.toHaveProperty('stderrTail');

  const host = new McpClient({ name: 'test', version: '1' });
  const requestInit = { headers: { authorization: `Bearer ${key}` } };
  await host.connect(new StreamableHTTPClientTransport(new URL('/mcp', url), { requestInit }) as Transport);
  const told = await host.callTool({ name: 'run_command', arguments: { machine_id: 'dm-test', command } });
  await host.close();
  const [{ text = '' } = {}] = told.content as { text?: string }[];
  expect(text).toContain(`--- stdout (${printed.length} bytes)\n1\n2\n`);
  expect(text).toContain(
    `\n${LAST - 1}\n${LAST}\n\n[The server did not keep all of stdout: the beginning, and its last ${TAIL_BYTES} bytes.]`,
  );
  expect(text.length).toBeLessThan(20_000);
});
