/** AgentSession: the connection of one agent, from the upgrade to its close, with its phase, its frames and its slots. */
import { type AgentFrame, CLOSE, type Hello, type Stdin } from '../../../core/protocol.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';
import type { Dispatch, Execution } from '../../../store/store.ts';
import { Acknowledgements } from './acknowledgements.ts';
import { AgentConnection, type ConnectionListener } from './connection/connection.ts';
import { connectedFields, handshake, markLost } from './handshake.ts';
import { PROBE_MS } from './connection/limits.ts';
import { QueueClaimer } from './queue-claimer.ts';
import type { Reconciliation } from './reconcile.ts';
import { ReportIntake, type ReportingSession } from './report-intake.ts';
import type { AdmittedAgent, Released, SessionDeps } from './session-deps.ts';
import { nextPhase, type SessionPhase } from './session-phase.ts';
import type { AgentSessions } from './sessions.ts';
import { knowsFrame, outputLimit, startMessage, UNREADABLE, UnsupportedError, welcomeFrame } from './start-frame.ts';
import { OUT_OF_ORDER, type PendingStart, StartQueue, type StartReservation } from './start-queue.ts';

/** The session of one agent. Its phase, its slots and its frames change only through its methods. */
export class AgentSession implements ConnectionListener, ReportingSession {
  readonly machineId: string;
  /** SHA-256 of the agent's credential. */
  readonly credentialHash: Buffer;
  readonly #deps: SessionDeps;
  readonly #sessions: AgentSessions;
  readonly #connection: AgentConnection;
  readonly #starts: StartQueue;
  readonly #claimer: QueueClaimer;
  readonly #acks: Acknowledgements;
  readonly #reports: ReportIntake;
  /** Cancels of executions whose start has not been sent: they are sent right after it. */
  readonly #cancels = new Set<string>();
  #phase: SessionPhase = 'awaiting_hello';
  #beats = 0;
  #hello: Hello | undefined;
  #epoch = 0;

  constructor(deps: SessionDeps, sessions: AgentSessions, agent: AdmittedAgent) {
    this.machineId = agent.machineId;
    this.credentialHash = agent.credentialHash;
    this.#deps = deps;
    this.#sessions = sessions;
    const { framesPerSecond } = deps.settings;
    this.#connection = new AgentConnection({ ...agent, framesPerSecond, listener: this });
    this.#starts = new StartQueue({
      unsentBytes: () => this.#connection.unsentBytes,
      send: (start) => this.#start(start),
      refuse: ({ executionId }) => {
        // The database has lost dispatch numbers. The next hello raises them, and states whether the agent has the execution.
        this.log('error', { [LOG_KEY.executionId]: executionId }, OUT_OF_ORDER);
        this.close(CLOSE.restart, 'a dispatch number was given out twice');
      },
    });
    this.#claimer = new QueueClaimer({
      starts: this.#starts,
      claim: (limit) => this.#claim(limit),
      toStart: (dispatch) => this.#pendingStart(dispatch),
      claimFailed: (cause) => this.log('warn', { err: cause }, 'claiming waiting executions failed; trying again'),
    });
    this.#acks = new Acknowledgements(this.#connection);
    this.#reports = new ReportIntake(deps, { connection: this.#connection, acks: this.#acks, session: this });
  }

  get phase(): SessionPhase {
    return this.#phase;
  }

  /** The runner instance in the agent's hello; empty before it. */
  get runnerInstance(): string {
    return this.#hello?.runner_instance ?? '';
  }

  /** The epoch of this connection of the machine; 0 until the store has it. Writes of an earlier connection are stale. */
  get epoch(): number {
    return this.#epoch;
  }

  // --- commands to the agent ---------------------------------------------------------------------------------------

  /** Reserves a slot for an execution that is about to be created. Undefined if it has to wait. */
  reserve(bytes: number): StartReservation | undefined {
    return this.#claimer.upToDate && this.#starts.free > 0 ? this.#starts.reserve(1, bytes) : undefined;
  }

  /** Ends a reservation after its transaction. A dispatched execution is sent in its turn, an unused slot becomes free. */
  commit(reservation: StartReservation, starts: readonly PendingStart[]): void {
    this.#starts.commit(reservation, starts);
    this.#claimer.claimMore();
  }

  /** Claims waiting executions if slots are free. */
  claimMore(): void {
    this.#claimer.claimMore();
  }

  /** Notes that an execution waits in the store for this machine. */
  noteWaiting(): void {
    this.#claimer.noteWaiting();
  }

  /** Makes the agent cancel an execution: now, or right after its start if that has not been sent yet. Repeated calls are harmless. */
  cancel(executionId: string): void {
    if (!this.#starts.has(executionId)) {
      this.#cancels.add(executionId);
      return;
    }
    this.#cancels.delete(executionId);
    this.#connection.send({ type: 'cancel', execution_id: executionId, grace_ms: this.#deps.settings.graceMs });
  }

  /** Sends a frame about a running command. Returns false if the agent's version does not support the frame. */
  tell(frame: Parameters<typeof knowsFrame>[1], attachment?: Buffer): boolean {
    const isKnown = knowsFrame(this.#hello, frame);
    if (isKnown) this.#connection.send(frame, attachment);
    return isKnown;
  }

  /** Sends a piece of live stdin. Returns false if it has a writer, and the agent's version does not know writers. */
  sendStdin(piece: Omit<Stdin, 'type'>, bytes: Buffer): boolean {
    return this.tell({ type: 'stdin', ...piece }, bytes);
  }

  /** Sends the agent the output limit of an execution in stream mode. `released`: offsets; absent: as far as this server knows. */
  async limitOutput(execution: Execution, released?: Released): Promise<void> {
    if (execution.outputMode !== undefined) this.tell(await outputLimit(this.#deps, execution, released));
  }

  /** The number of the last report on an execution that the agent had at its hello; 0 for none. */
  reportedAtHello(executionId: string): number {
    return this.#hello?.held.find(({ execution_id: id }) => id === executionId)?.reported ?? 0;
  }

  /** Makes the agent enrol again with a join token. */
  rotateCredential(joinToken: string): void {
    this.#connection.send({ type: 'rotate', join_token: joinToken });
  }

  /** Handles the end of an execution of the machine. If no report of the agent ended it, the agent has to forget it. */
  executionEnded(executionId: string): void {
    if (!this.freeSlot(executionId)) return;
    this.#acks.forget([executionId]);
    this.#acks.flush();
    this.#claimer.claimMore();
  }

  /** Makes the agent kill all commands of its removed machine, and closes the session. */
  machineRemoved(): void {
    const running = this.#starts.inFlight();
    if (running.length > 0) this.#connection.send({ type: 'forget', execution_ids: running });
    this.close(CLOSE.removed, 'the machine was removed');
  }

  close(code: number, reason: string): void {
    this.#connection.close(code, reason);
  }

  /** Ends this session if its agent sends no byte in time, because another instance claims the machine. */
  probe(): void {
    this.#connection.probe(Math.min(this.#deps.settings.heartbeatMs, PROBE_MS));
  }

  /** Called once a heartbeat interval. The hello has to arrive within a whole interval. */
  beat(): void {
    this.#beats += 1;
    if (this.#phase === 'awaiting_hello' && this.#beats > 1) this.close(CLOSE.timeout, 'no hello in time');
    else this.#connection.beat();
  }

  // --- the handshake (handshake.ts) --------------------------------------------------------------------------------

  /** Enters `joining`: the agent has sent its hello, and this is the machine's session. */
  join(): void {
    this.#enter('joining');
  }

  /** Sets the epoch under which the store has this connection as the machine's. */
  connectedAs(epoch: number): void {
    this.#epoch = epoch;
    if (this.#phase === 'closed') this.#sessions.writeDisconnect(this);
  }

  /** Sends welcome, then the starts that did not arrive, in order, then the cancels. New starts are sent after these. */
  welcome(p: { protocol: number; hello: Hello; plan: Reconciliation; resend: readonly Dispatch[] }): void {
    const { hello, plan, resend } = p;
    this.#enter('ready');
    this.#connection.send(welcomeFrame(p.protocol, plan, this.#deps.settings));
    const inFlight = plan.held.map(({ executionId }) => executionId);
    this.#starts.open({ maxConcurrency: hello.max_concurrency, inFlight, lastNumber: hello.last_dispatch_number });
    const starts = resend.map((dispatch) => this.#pendingStart(dispatch));
    this.#starts.commit(this.#starts.reserve(starts.length, 0), starts);
    for (const executionId of new Set([...plan.cancel, ...this.#cancels])) this.cancel(executionId);
    this.log('info', connectedFields(hello, plan.held.length, resend.length), 'agent connected');
    this.#deps.stdin.sessionChanged(this.machineId);
  }

  /** Starts to claim waiting executions, once those that waited for the agent are queued. `hasWaiting`: some waited when it connected. */
  startClaiming({ hasWaiting }: { hasWaiting: boolean }): void {
    this.#claimer.open({ hasWaiting });
  }

  // --- callbacks of the connection ---------------------------------------------------------------------------------

  get expectsHello(): boolean {
    return this.#phase === 'awaiting_hello';
  }

  frame(frame: AgentFrame): void {
    if (frame.type === 'hello') {
      if (!this.expectsHello) {
        this.close(CLOSE.badFrame, 'a second hello');
        return;
      }
      this.#hello = frame;
      this.#reports.agentClockIs(frame.clock_ms);
      void handshake(this.#deps, this.#sessions, this, frame);
    } else if (this.expectsHello) {
      this.close(CLOSE.badFrame, `${frame.type} before hello`);
    } else if (frame.type === 'capacity') {
      this.#starts.accepting = frame.accepting;
      this.#claimer.claimMore();
    } else if (frame.type === 'stdin_ack') {
      this.#deps.stdin.acknowledged(this.machineId, frame);
    } else {
      this.#deps.usage.answered(this.machineId, frame);
    }
  }

  records(bytes: Buffer): void {
    if (this.#phase === 'ready') this.#reports.push(bytes);
    else this.close(CLOSE.badFrame, 'records before welcome');
  }

  drained(): void {
    this.#acks.flush();
    this.#claimer.claimMore();
  }

  closed(cause: { code: number; reason: string }): void {
    this.#enter('closed');
    this.#starts.close();
    this.#claimer.close();
    this.#reports.close();
    this.#acks.close();
    this.#sessions.closed(this, cause);
  }

  log(level: 'info' | 'warn' | 'error', fields: object, text: string): void {
    this.#deps.log[level]({ [LOG_KEY.machineId]: this.machineId, ...fields }, text);
  }

  /** The only place where the phase changes. */
  #enter(next: SessionPhase): void {
    this.#phase = nextPhase(this.#phase, next);
  }

  /** Frees the slot of an execution whose end is on disk. Slots are freed only here. Returns false if the execution had none. */
  freeSlot(executionId: string): boolean {
    this.#cancels.delete(executionId);
    return this.#starts.finished(executionId);
  }

  async #claim(limit: number): Promise<Dispatch[]> {
    const { machineId, epoch } = this;
    const claimed = await this.#deps.store.claimQueued({ machineId, epoch, limit, now: this.#deps.now() });
    if (claimed.outcome === 'applied') return claimed.dispatches;
    this.close(CLOSE.restart, 'this is no longer the connection of the machine');
    return [];
  }

  #pendingStart({ execution, sealedInput }: Dispatch): PendingStart {
    return { execution, openInput: () => this.#deps.sealer.open(execution.executionId, sealedInput) };
  }

  /** Gives a start to the connection, followed by a cancel if one was requested before the start could be sent. */
  #start({ execution, openInput }: PendingStart): void {
    let message: ReturnType<typeof startMessage>;
    try {
      message = startMessage(this.#hello, execution, openInput, this.#deps.settings);
    } catch (error) {
      this.markLost(execution, error instanceof UnsupportedError ? error.message : UNREADABLE);
      return;
    }
    this.#acks.flushWith(message.start, message.attachment);
    this.#deps.observer.dispatched(execution);
    if (this.#cancels.has(execution.executionId)) this.cancel(execution.executionId);
  }

  /** Ends an execution that was dispatched to the agent and can no longer be sent or followed. */
  markLost(execution: Execution, reason: string): void {
    const lost = { [LOG_KEY.executionId]: execution.executionId, [LOG_KEY.reason]: reason };
    this.log('error', lost, 'an execution cannot be followed any more, and ends as agent_lost');
    markLost(this.#deps, this, [execution], reason).catch((cause: unknown) => {
      // The execution stays dispatched: the next hello of the machine decides again.
      this.log(
        'error',
        { ...lost, err: cause },
        'an end as agent_lost could not be written; decided when the agent reconnects',
      );
    });
  }
}
