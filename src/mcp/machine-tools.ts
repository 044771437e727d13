/** Tools for machines and their files. */
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { z } from 'zod';
import type { Execplane, FileStat, Machine } from '../client/main.ts';
import { answered } from './answers.ts';
import { textOf } from './cut.ts';
import { MACHINE, machineOf } from './machine-argument.ts';

const MAX_FILE_BYTES = 65_536;
/** Lines of a list in one answer. */
const MAX_LINES = 200;
const PATH = z.string().describe('Path on the machine; a relative path starts at the home of the user.');

/** Adds the tools for machines and their files. */
export function addMachineTools(server: McpServer, client: Execplane): void {
  addListMachines(server, client);
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
    ({ machine_id: machine, path, offset, length }) =>
      answered(async () => {
        const { files } = await machineOf(client, machine);
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
    ({ machine_id: machine, path, content }) =>
      answered(async () => {
        await (await machineOf(client, machine)).files.write(path, content);
        return `${path} is written: ${new TextEncoder().encode(content).length} bytes.`;
      }),
  );
  addListFiles(server, client);
}

function addListMachines(server: McpServer, client: Execplane): void {
  server.registerTool(
    'list_machines',
    {
      description: 'Lists the machines that commands can run on: id, name, and whether they are online.',
      inputSchema: {
        label: z.string().optional().describe('Only machines with this label, such as role=web.'),
        cursor: z.string().optional().describe('Continues a list: from the answer before.'),
      },
      annotations: { readOnlyHint: true },
    },
    ({ label, cursor }) =>
      answered(async () => {
        const selection = { limit: MAX_LINES, include: ['name'] as const };
        const page = await client.machines.list({
          ...selection,
          ...(label === undefined ? {} : { label: [label] }),
          ...(cursor === undefined ? {} : { cursor }),
        });
        if (page.items.length === 0) return 'There are no machines.';
        const next = page.next_cursor;
        const more = next === undefined ? [] : [`[There are more: list_machines with cursor "${next}".]`];
        return [...page.items.map(machineLine), ...more].join('\n');
      }),
  );
}

function machineLine({ machine_id: id, name, status, vcpu, memory_mib: memory }: Machine): string {
  const state = status.phase === 'running' ? 'online' : `offline (${status.reason})`;
  return `${id}${name === undefined ? '' : ` (name ${name})`}: ${state}, ${vcpu} CPUs, ${memory} MiB`;
}

function addListFiles(server: McpServer, client: Execplane): void {
  server.registerTool(
    'list_files',
    {
      description: 'Lists a directory by name: type, size and name of each entry.',
      inputSchema: {
        machine_id: MACHINE,
        path: PATH,
        offset: z.number().int().min(0).default(0).describe('How many entries to leave out.'),
      },
      annotations: { readOnlyHint: true },
    },
    ({ machine_id: machine, path, offset }) =>
      answered(async () => {
        const list = await (await machineOf(client, machine)).files.list(path);
        if (offset >= list.length)
          return list.length === 0 ? 'The directory is empty.' : `It has ${list.length} entries.`;
        const end = Math.min(offset + MAX_LINES, list.length);
        const lines = list.sort(byName).slice(offset, end).map(lineOf);
        const more = end < list.length ? [`[${end} of ${list.length} entries: list_files with offset ${end}.]`] : [];
        return [...lines, ...more].join('\n');
      }),
  );
}

function byName(a: FileStat, b: FileStat): number {
  return a.name < b.name ? -1 : 1;
}

function lineOf({ type, size, name }: FileStat): string {
  return type === 'file' ? `file ${size} ${name}` : `${type} ${name}`;
}
