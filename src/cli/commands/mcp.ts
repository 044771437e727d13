import type { Command } from 'commander';
import { packageVersion } from '../../node/version.ts';
import { clientCommand, clientOf } from '../client-command.ts';
import { assertOpen } from '../streams/output.ts';

const DESCRIPTION =
  'Serve the Model Context Protocol on stdin and stdout: tools with which a model can run commands on machines.';
const EXAMPLES = `  claude mcp add execplane -- execplane mcp --url https://execplane.example.com
  execplane mcp                                 started by an MCP host; ends with its stdin`;

/** `execplane mcp`. */
export function mcpCommand(): Command {
  return clientCommand('mcp', DESCRIPTION, EXAMPLES).action(async (flags) => {
    assertOpen('stdout');
    const { serveMcpOnStdio } = await import('../../mcp/main.ts');
    await serveMcpOnStdio({ client: clientOf(flags), version: packageVersion() });
  });
}
