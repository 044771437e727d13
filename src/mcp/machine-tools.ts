/** Tools for machines and their files. */
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { z } from 'zod';
import type { Execplane, FileStat } from '../client/main.ts';
import { answered } from './answers.ts';
import { textOf } from './cut.ts';

const MAX_FILE_BYTES = 65_536;
const MACHINE = z.string().describe('The machine, such as dm-build-1; list_machines shows them.');
const PATH = z.string().describe('Path on the machine; a relative path starts at the home of the user.');

/** Adds the tools for machines and their files. */
export function addMachineTools(server: McpServer, client: Execplane): void {
  server.registerTool(
    'list_machines',
    {
      description: 'Lists the machines that commands can run on, and whether they are online.',
      inputSchema: {},
      annotations: { readOnlyHint: true },
    },
    () =>
      answered(async () => {
        const { items } = await client.machines.list({ limit: 500 });
        const lines = items.map(({ machine_id: id, status, vcpu, memory_mib: memory }) => {
          const state = status.phase === 'running' ? 'online' : `offline (${status.reason})`;
          return `${id}: ${state}, ${vcpu} CPUs, ${memory} MiB`;
        });
        return lines.length === 0 ? 'There are no machines.' : lines.join('\n');
      }),
  );
  server.registerTool(
    'read_file',
    {
      description: 'Reads a text file, or a part of a large one.',
      inputSchema: {
        machine_id: MACHINE,
        path: PATH,
        offset: z.number().int().min(0).default(0).describe('The first byte.'),
        length: z.number().int().min(1).max(MAX_FILE_BYTES).default(MAX_FILE_BYTES).describe('How many bytes at most.'),
      },
      annotations: { readOnlyHint: true },
    },
    ({ machine_id: machineId, path, offset, length }) =>
      answered(async () => {
        const { files } = client.machine(machineId);
        const bytes = await files.read(path, { offset, length });
        const { size } = await files.stat(path);
        const end = offset + bytes.length;
        return end < size ? `${textOf(bytes)}\n[bytes ${offset} to ${end} of ${size}]` : textOf(bytes);
      }),
  );
  server.registerTool(
    'write_file',
    {
      description: 'Writes a text file, and replaces an existing one. The directory must exist.',
      inputSchema: { machine_id: MACHINE, path: PATH, content: z.string() },
      annotations: { idempotentHint: true },
    },
    ({ machine_id: machineId, path, content }) =>
      answered(async () => {
        await client.machine(machineId).files.write(path, content);
        return `${path} is written: ${new TextEncoder().encode(content).length} bytes.`;
      }),
  );
  server.registerTool(
    'list_files',
    {
      description: 'Lists a directory: type, size and name of each entry.',
      inputSchema: { machine_id: MACHINE, path: PATH },
      annotations: { readOnlyHint: true },
    },
    ({ machine_id: machineId, path }) =>
      answered(async () => {
        const list = await client.machine(machineId).files.list(path);
        return list.length === 0 ? 'The directory is empty.' : list.sort(byName).map(lineOf).join('\n');
      }),
  );
}

function byName(a: FileStat, b: FileStat): number {
  return a.name < b.name ? -1 : 1;
}

function lineOf({ type, size, name }: FileStat): string {
  return type === 'file' ? `file ${size} ${name}` : `${type} ${name}`;
}
