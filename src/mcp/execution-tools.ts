/** Tools that run commands, read their output and end them. */
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { z } from 'zod';
import { type Execplane, type Execution, type ExecutionHandle, hasEnded } from '../client/main.ts';
import { answered, report } from './answers.ts';
import { textOf } from './cut.ts';
import { MACHINE, machineOf } from './machine-argument.ts';

const MAX_WAIT_S = 300;
const MAX_PART_BYTES = 65_536;
const EXECUTION = z.string().describe('The execution_id from the answer of run_command.');
const ONE = { machine_id: MACHINE, execution_id: EXECUTION };

/** Adds the tools that run and follow commands. */
export function addExecutionTools(server: McpServer, client: Execplane): void {
  addRunCommand(server, client);
  server.registerTool(
    'get_execution',
    {
      description: 'The status of a command, and the first and last part of its output so far.',
      inputSchema: {
        ...ONE,
        wait_seconds: z.number().min(0).max(MAX_WAIT_S).default(0).describe('How many seconds to wait for its end.'),
      },
      annotations: { readOnlyHint: true },
    },
    ({ machine_id: machine, execution_id: id, wait_seconds: seconds }, { signal }) =>
      answered(async () => {
        const handle = (await machineOf(client, machine)).execution(id);
        return report(await within(handle, seconds, signal), handle);
      }),
  );
  server.registerTool(
    'read_output',
    {
      description: 'A part of the output of a command. Use it for the part that other tools have left out.',
      inputSchema: {
        ...ONE,
        stream: z.enum(['stdout', 'stderr']).default('stdout'),
        offset: z.number().int().min(0).default(0).describe('The first byte.'),
        length: z.number().int().min(1).max(MAX_PART_BYTES).default(16_384).describe('How many bytes at most.'),
      },
      annotations: { readOnlyHint: true },
    },
    ({ machine_id: machine, execution_id: id, stream, offset, length }) =>
      answered(async () => {
        const handle = (await machineOf(client, machine)).execution(id);
        const bytes = await handle.part(stream, { offset, length });
        if (bytes.length === 0) return `${stream} has no bytes at offset ${offset} (yet).`;
        return `--- ${stream}, bytes ${offset} to ${offset + bytes.length}\n${textOf(bytes)}`;
      }),
  );
  server.registerTool(
    'cancel_execution',
    { description: 'Ends a command and all of its processes: SIGTERM, SIGKILL 5 seconds later.', inputSchema: ONE },
    ({ machine_id: machine, execution_id: id }) =>
      answered(async () => {
        const handle = (await machineOf(client, machine)).execution(id);
        return report(await handle.cancel({ waitMs: 20_000 }), handle);
      }),
  );
  server.registerTool(
    'write_stdin',
    {
      description: 'Writes to the stdin of a running command that was started with keep_stdin_open.',
      inputSchema: {
        ...ONE,
        text: z.string().describe('The text, written unchanged: end a line with a line break.'),
        close: z.boolean().default(false).describe('Close stdin after it: the command reads end-of-file.'),
      },
    },
    ({ machine_id: machine, execution_id: id, text, close }) =>
      answered(async () => {
        const handle = (await machineOf(client, machine)).execution(id);
        await handle.writeStdin(new TextEncoder().encode(text), { close });
        return close ? 'Written; stdin is closed.' : 'Written.';
      }),
  );
}

function addRunCommand(server: McpServer, client: Execplane): void {
  server.registerTool(
    'run_command',
    {
      description:
        'Runs a command on a machine and waits for its end. No shell is used: for pipes, variables or && run ["sh", "-c", "…"]. If it takes longer than wait_seconds, it keeps running, and the answer has its execution_id.',
      inputSchema: {
        machine_id: MACHINE,
        command: z.array(z.string()).min(1).describe('The program and its arguments, such as ["ls", "-l"].'),
        stdin: z.string().optional().describe('Text for stdin of the command. Default: none.'),
        keep_stdin_open: z.boolean().default(false).describe('Leave stdin open for write_stdin.'),
        cwd: z.string().optional().describe('Working directory. Default: the home of the user.'),
        env: z.record(z.string(), z.string()).optional().describe('Environment variables to add.'),
        timeout_seconds: z.number().positive().optional().describe('Kill the command after this many seconds.'),
        wait_seconds: z.number().min(0).max(MAX_WAIT_S).default(30).describe('How many seconds to wait for its end.'),
      },
    },
    (input, { signal }) =>
      answered(async () => {
        const { machine_id: machine, command, stdin, cwd, env, timeout_seconds: timeout } = input;
        const target = await machineOf(client, machine);
        const handle = await target.start(command, {
          stdin: input.keep_stdin_open ? 'open' : stdin === undefined ? 'none' : { text: stdin },
          ...(cwd === undefined ? {} : { cwd }),
          ...(env === undefined ? {} : { env }),
          ...(timeout === undefined ? {} : { timeoutMs: Math.ceil(timeout * 1000) }),
        });
        if (input.keep_stdin_open && stdin !== undefined) await handle.writeStdin(new TextEncoder().encode(stdin));
        return report(await within(handle, input.wait_seconds, signal), handle);
      }),
  );
}

/** Returns the execution once it has ended, or its state after the wait. `signal` aborts when the host cancels the call or disconnects. */
async function within(handle: ExecutionHandle, seconds: number, signal: AbortSignal): Promise<Execution> {
  const until = performance.now() + seconds * 1000;
  for (;;) {
    const waitMs = Math.max(0, Math.min(55_000, Math.ceil(until - performance.now())));
    const execution = await handle.get({ waitMs, signal });
    if (hasEnded(execution) || performance.now() >= until) return execution;
  }
}
