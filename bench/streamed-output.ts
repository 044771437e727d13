/**
 * Measures output in `stream` mode to a reader that releases what it has read: the client library, and a plain HTTP client, which shows what `fetch`
 * costs. Also OpenSSH, for which it starts a server. The floor is a bare pipe. A bare chain of as many Node processes shows what they cost alone. If
 * OpenSSH is not installed, the bench reports it as not measured. Also reports the processor time of each process.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { get, request } from 'node:http';
import { Execplane } from '../src/client/main.ts';
import { Deployment } from '../test/helpers/harness.ts';
import { type OpenSsh, startOpenSsh } from './peers/openssh.ts';
import { cpuMs } from './counting/cpu-time.ts';
import { BareChain } from './floors/bare-chain.ts';
import { type Contender, measure, print, say, seconds, TINY } from './rounds.ts';

const MEGABYTES = TINY ? 4 : 1074;
const COMMAND = ['head', '-c', String(MEGABYTES * 1_000_000), '/dev/zero'];
const FLOOR = 'bare pipe';
/** Bytes that the plain client reads before it releases them. */
const RELEASE_BYTES = 4 * 1024 * 1024;

const deployment = await Deployment.start({
  server: { EXECPLANE_LOG_LEVEL: 'warn' },
  agent: { EXECPLANE_LOG_LEVEL: 'warn' },
});
const machine = new Execplane({ url: deployment.server.url, apiKey: deployment.server.key }).machine(
  deployment.agent.machineId,
);
const chain = await BareChain.start(deployment.dir, COMMAND);
const ssh = await startOpenSsh().catch(() => undefined);
try {
  const contenders: Contender[] = [
    { name: FLOOR, unit: 'MB/s', run: () => speed(() => local(COMMAND)) },
    { name: 'execution, output_mode stream', unit: 'MB/s', floor: FLOOR, run: () => speed(streamed) },
    { name: 'the same to a plain HTTP client', unit: 'MB/s', floor: FLOOR, run: () => speed(plain) },
    { name: 'bare chain of Node processes', unit: 'MB/s', floor: FLOOR, run: () => speed(() => chain.read()) },
    ...(ssh === undefined
      ? []
      : [{ name: 'OpenSSH', unit: 'MB/s', floor: FLOOR, run: () => speed(() => overSsh(ssh)) }]),
  ];
  print('streamed-output', `${MEGABYTES} MB to a reader, none of them kept`, await measure(contenders));
  const { server, agent } = deployment;
  const pids = { server: server.process.pid, link: agent.link.pid, runner: agent.runnerPid(), client: process.pid };
  say('streamed-output', 'processor time, ms for each MB', await cpuOfEach(pids, streamed));
  say('streamed-output', 'the same with a plain HTTP client', await cpuOfEach(pids, plain));
  const chained = { ...chain.pids, client: process.pid };
  say('streamed-output', 'the same of the bare chain', await cpuOfEach(chained, () => chain.read()));
  if (ssh === undefined) process.stdout.write('  OpenSSH: not measured, sshd is not installed\n');
} finally {
  await ssh?.close();
  await chain.close();
  await deployment.dispose();
}

async function speed(work: () => Promise<number>): Promise<number> {
  let bytes = 0;
  const elapsed = await seconds(async () => {
    bytes = await work();
  });
  if (bytes !== MEGABYTES * 1_000_000) throw new Error(`${bytes} bytes came`);
  return MEGABYTES / elapsed;
}

/** Processor time of each process for one megabyte, in ms. The client is this process. */
async function cpuOfEach(
  pids: Readonly<Record<string, number>>,
  read: () => Promise<number>,
): Promise<Record<string, number>> {
  const now = (): [string, number][] => Object.entries(pids).map(([name, pid]) => [name, cpuMs(pid)]);
  const before = now();
  await read();
  return Object.fromEntries(now().map(([name, ms], index) => [name, (ms - (before[index]?.[1] ?? 0)) / MEGABYTES]));
}

/** Runs a local program. Returns the number of bytes that it printed to a pipe. */
async function local(command: readonly string[]): Promise<number> {
  const child = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  let bytes = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await once(child, 'close');
  return bytes;
}

function overSsh({ options, login }: OpenSsh): Promise<number> {
  return local(['ssh', ...options, login, COMMAND.join(' ')]);
}

/** Reads by the client library, which releases the bytes that it has read. Returns their number. */
async function streamed(): Promise<number> {
  const execution = await machine.start(COMMAND, { output: 'stream' });
  let bytes = 0;
  for await (const chunk of execution.stdout) bytes += chunk.length;
  const { status } = await execution.result;
  if (status !== 'succeeded') throw new Error(status);
  return bytes;
}

/** Reads by Node's HTTP client. Returns the number of bytes. */
async function plain(): Promise<number> {
  const execution = await machine.start(COMMAND, { output: 'stream' });
  const { machineId, executionId } = execution;
  const output = `${deployment.server.url}/v1/machines/${machineId}/executions/${executionId}/output/stdout`;
  const headers = { authorization: `Bearer ${deployment.server.key}` };
  const [response] = await once(get(`${output}?follow=true&offset=0`, { headers }), 'response');
  let bytes = 0;
  let released = 0;
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes - released < RELEASE_BYTES) return;
    released = bytes;
    const release = request(`${output}?offset=${bytes}&release=true`, { method: 'HEAD', headers });
    release.once('error', (error) => response.destroy(error)).end();
  });
  await once(response, 'end');
  return bytes;
}
