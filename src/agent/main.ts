/** The agent process that connects to the server: constructs it, runs it, handles its signals. */
import type { AgentConfig } from './config.ts';

export { AGENT_SETTINGS, readAgentConfig } from './config.ts';
export { examineAgent } from './doctor/doctor.ts';
export { readCredential } from './link/enrolment/credential.ts';
export { stopAgent } from './processes/stop.ts';
export { upgradeAgent } from './upgrade/upgrade.ts';

const STDERR = 2;

/** The message to a parent process that started the agent with an IPC channel. */
export interface AgentConnectedMessage {
  type: 'connected';
  machineId: string;
}

/**
 * Runs the agent until SIGTERM (detaches: commands keep running) or SIGINT (ends everything), and settles when it has ended. The disconnect of
 * a parent process on an IPC channel counts as SIGTERM. Rejects if the agent cannot run.
 */
export async function runAgent(config: AgentConfig): Promise<void> {
  // Loaded here, because `agent stop` and `up` do not need these modules.
  const [{ pino }, { LogDestination }, { Agent }, { Liveness }, { startWatchdog }] = await Promise.all([
    import('pino'),
    import('../node/log-destination.ts'),
    import('./link/agent.ts'),
    import('./link/liveness.ts'),
    import('./link/watchdog.ts'),
  ]);
  const options = { name: 'agent', level: config.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  const log = pino(options, new LogDestination({ fd: STDERR, format: config.logFormat }));
  const liveness = new Liveness(() => performance.now());
  const agent = new Agent(config, log, liveness, (machineId) => {
    if (process.connected) process.send?.({ type: 'connected', machineId } satisfies AgentConnectedMessage);
  });
  const detach = () => agent.detach();
  const stop = () => agent.stop();
  const { watchdog } = config;
  const stopWatchdog = watchdog && startWatchdog(watchdog, { isAlive: () => liveness.alive, log });
  process.on('SIGTERM', detach).on('SIGINT', stop).on('disconnect', detach);
  try {
    await agent.run();
  } finally {
    stopWatchdog?.();
    process.off('SIGTERM', detach).off('SIGINT', stop).off('disconnect', detach);
    if (process.connected) process.disconnect();
  }
}
