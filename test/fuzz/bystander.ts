/** An execution that runs during a fuzz test and must not be affected. */
import { expect } from 'vitest';
import type { RunningTestServer } from '../helpers/running-server.ts';
import { ScriptedAgent } from '../helpers/scripted-agent.ts';

const MACHINE = 'dm-bystander';

export class Bystander {
  readonly #server: RunningTestServer;
  readonly #agent: ScriptedAgent;
  readonly #executionId: string;
  #printed = '';

  private constructor(server: RunningTestServer, agent: ScriptedAgent, executionId: string) {
    this.#server = server;
    this.#agent = agent;
    this.#executionId = executionId;
  }

  /** Connects an agent with one started command. */
  static async start(server: RunningTestServer): Promise<Bystander> {
    const agent = await ScriptedAgent.join(server.url, await server.machine(MACHINE));
    const { execution_id: id } = await server.client.machine(MACHINE).create({ command: ['work'] });
    await agent.next('start');
    agent.report(agent.started(id));
    return new Bystander(server, agent, id);
  }

  /** Reports one line of output. */
  print(): void {
    const line = `line ${this.#printed.length}\n`;
    this.#printed += line;
    this.#agent.report(this.#agent.stdout(this.#executionId, line));
  }

  /** Ends the command and checks that server and execution were not affected. `expected`: the only permitted errors in the log. */
  async expectUnharmed({ expected = [] }: { expected?: readonly string[] } = {}): Promise<void> {
    const { client, log } = this.#server;
    const bytes = this.#printed.length;
    this.#agent.report(this.#agent.ended(this.#executionId, { stdout_bytes: bytes }));
    const machine = client.machine(MACHINE);
    expect(await machine.ended(this.#executionId)).toMatchObject({ status: 'succeeded', stdout_bytes: bytes });
    expect((await machine.output(this.#executionId)).stdout).toBe(this.#printed);
    expect([(await client.get('/healthz')).status, (await client.get('/readyz')).status]).toEqual([200, 200]);
    const errors = log.filter((line) => (JSON.parse(line) as { level: number }).level >= 50);
    expect(errors.filter((line) => !expected.some((words) => line.includes(words)))).toEqual([]);
    await this.#agent.close();
  }
}
