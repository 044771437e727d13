/** The facts that an agent reports of its machine. Separate from the protocol, so that browsers can load the types. */
import { type Static, Type } from 'typebox';
import { NO_NUL } from './labels.ts';

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

export const MachineFactsSchema = Type.Object(
  { vcpu: Type.Number({ minimum: 0 }), memory_mib: Count, storage_gib: Count },
  {},
);
export type MachineFacts = Static<typeof MachineFactsSchema>;

const Name = Type.String({ pattern: NO_NUL, maxLength: 255 });

/** Facts about the host that the agent runs on. */
export const HostSchema = Type.Object({ hostname: Name, os: Name, arch: Name }, {});
export interface Host extends Static<typeof HostSchema> {
  agentVersion: string;
}
