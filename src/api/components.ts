/** The schemas that have names in the OpenAPI document. */
import type { TSchema } from 'typebox';
import {
  ApiKeyListSchema,
  ApiKeySchema,
  AuditEntrySchema,
  AuditListSchema,
  CreateApiKeySchema,
  CreatedApiKeySchema,
  CreatedJoinTokenSchema,
  CreateJoinTokenSchema,
  JoinTokenListSchema,
  JoinTokenSchema,
} from './admin.ts';
import { ArtifactListSchema, ArtifactSchema } from './artifact.ts';
import { BatchListSchema, BatchSchema, CreateBatchSchema } from './batch.ts';
import { ErrorSchema, ProblemSchema } from './errors.ts';
import {
  CreateExecutionSchema,
  ExecutionEventListSchema,
  ExecutionEventSchema,
  ExecutionListSchema,
  ExecutionSchema,
} from './execution.ts';
import { ExecutionOutputSchema } from './output.ts';
import {
  CreateMachineSchema,
  MachineDetailSchema,
  MachineListSchema,
  MachineSchema,
  UpdateMachineSchema,
} from './machine.ts';
import { SendSignalSchema, StdinResultSchema } from './interaction.ts';

export const COMPONENTS = {
  Execution: ExecutionSchema,
  ExecutionCreate: CreateExecutionSchema,
  ExecutionList: ExecutionListSchema,
  ExecutionEvent: ExecutionEventSchema,
  ExecutionEventList: ExecutionEventListSchema,
  ExecutionOutput: ExecutionOutputSchema,
  ExecutionSignal: SendSignalSchema,
  ExecutionStdin: StdinResultSchema,
  Machine: MachineDetailSchema,
  MachineCreate: CreateMachineSchema,
  MachineUpdate: UpdateMachineSchema,
  MachineListItem: MachineSchema,
  MachineList: MachineListSchema,
  Artifact: ArtifactSchema,
  ArtifactList: ArtifactListSchema,
  Batch: BatchSchema,
  BatchCreate: CreateBatchSchema,
  BatchList: BatchListSchema,
  ApiKey: ApiKeySchema,
  ApiKeyCreate: CreateApiKeySchema,
  ApiKeyCreated: CreatedApiKeySchema,
  ApiKeyList: ApiKeyListSchema,
  JoinToken: JoinTokenSchema,
  JoinTokenCreate: CreateJoinTokenSchema,
  JoinTokenCreated: CreatedJoinTokenSchema,
  JoinTokenList: JoinTokenListSchema,
  AuditEntry: AuditEntrySchema,
  AuditList: AuditListSchema,
  ApiError: ErrorSchema,
  Problem: ProblemSchema,
} as const satisfies Record<string, TSchema>;
export type ComponentName = keyof typeof COMPONENTS;
