/** A server that exports traces, and an execution with spans. */
import { readTracingConfig, type TracingConfig } from '../../../../src/server/operations/tracing/config.ts';
import { type RunningTestServer, runningServer } from '../../../helpers/running-server.ts';
import { ScriptedAgent } from '../../../helpers/scripted-agent.ts';

export function tracingConfig(collector: string, env: Record<string, string> = {}): TracingConfig {
  const config = readTracingConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: collector, ...env });
  if (config === undefined) throw new Error('not configured');
  return config;
}

export function traced(collector: string, env: Record<string, string> = {}): Promise<RunningTestServer> {
  return runningServer({}, tracingConfig(collector, env));
}

/** Runs a failing command on a scripted agent. Returns the id of the execution. */
export async function runFalse(server: RunningTestServer, headers: Record<string, string> = {}): Promise<string> {
  const agent = await ScriptedAgent.join(server.url, await server.machine('dm-one'));
  const machine = server.client.machine('dm-one');
  const body = { command: ['/bin/false', 'hunter2'], env: { TOKEN: 'hunter2' } };
  const created = await server.client.request<{ execution_id: string }>('POST', machine.path, { body, headers });
  const id = created.json.execution_id;
  await agent.next('start');
  agent.report(agent.started(id), agent.ended(id, { status: 'failed', exit_code: 1, error_code: 'nonzero_exit' }));
  await machine.ended(id);
  await agent.close();
  return id;
}
