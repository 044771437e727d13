/** What an agent reports of its machine. Apart from the protocol, so that browsers can load what a machine is. */
import { type Static, Type } from 'typebox';

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

export const MachineFactsSchema = Type.Object(
  { vcpu: Type.Number({ minimum: 0 }), memory_mib: Count, storage_gib: Count },
  {},
);
export type MachineFacts = Static<typeof MachineFactsSchema>;

const Name = Type.String({ maxLength: 255 });

/** What an agent says of the host that it runs on. */
export const HostSchema = Type.Object({ hostname: Name, os: Name, arch: Name }, {});
export interface Host extends Static<typeof HostSchema> {
  agentVersion: string;
}
