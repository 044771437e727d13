/** ComputeSDK provider: machines of an Execplane server as sandboxes. */
import { defineProvider } from '@computesdk/provider';
import { createSandbox, findSandbox, getInfo, listSandboxes, removeSandbox, type Settings } from './machines.ts';
import { runCommand, streamCommand } from './commands.ts';
import { filesystem } from './filesystem.ts';
import type { Sandbox } from './sandbox.ts';

export type { Settings } from './machines.ts';
export type { Sandbox } from './sandbox.ts';

/** Returns a provider for `createCompute` and `compute.setConfig` of ComputeSDK. */
export const execplane = defineProvider<Sandbox, Settings>({
  name: 'execplane',
  methods: {
    sandbox: {
      create: createSandbox,
      getById: findSandbox,
      list: listSandboxes,
      destroy: removeSandbox,
      runCommand,
      streamCommand,
      getInfo,
      getUrl: async () => {
        throw new Error('a machine of Execplane dials out and accepts no connections: it has no URL for a port');
      },
      filesystem,
    },
  },
});
