/** A program that uses the generated clients. It is type-checked and never run. */
import * as hey from './generated/hey-api/index.ts';
import type { paths } from './generated/openapi-typescript.ts';
import * as orval from './generated/orval.ts';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <T extends true>(): T => true as T;

type Executions = paths['/v1/machines/{machine_id}/executions'];
type Create = Executions['post']['requestBody']['content']['application/json'];
type Execution = Executions['post']['responses'][200]['content']['application/json'];
type Status = 'wake_in_progress' | 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled' | 'expired';

holds<Same<Execution['status'], Status>>();
holds<Same<Create['env'], { [name: string]: string } | undefined>>();
holds<Same<NonNullable<Execution['output']>['stdout'], string>>();

declare function process(...values: unknown[]): void;

export async function run(): Promise<void> {
  const path = { machine_id: 'dm-one' };
  const body = { command: ['uname'], env: { STAGE: 'test' }, timeout_ms: 5000 };
  const made = await hey.createExecution({ path, body, query: { wait_ms: 1000, include: ['output'] } });
  const status: Status | undefined = made.data?.status;
  const stdout = await hey.getExecutionStdout({ path: { ...path, execution_id: 'ex-1' }, query: { offset: 0 } });
  const bytes: Blob | undefined = stdout.data;
  const events = await hey.listExecutionEvents({ path: { ...path, execution_id: 'ex-1' } });
  const sequence: number | undefined = events.data?.items[0]?.sequence;

  const created = await orval.createExecution('dm-one', body);
  if (created.status === 200) holds<Same<typeof created.data.exit_code, number | undefined>>();
  const raw = await orval.getExecutionStdout('dm-one', 'ex-1');
  if (raw.status === 200) holds<Same<typeof raw.data, Blob>>();
  process(status, bytes, sequence);
}
