/** What a session gets with its welcome: a lane for starts, claims, an intake for reports, acknowledgements. */
import type { Logger } from 'pino';
import { isTerminal } from '../../../core/execution.ts';
import { CLOSE, type Hello } from '../../../core/protocol.ts';
import type { Execution, ReportResult, Store } from '../../../store/store.ts';
import type { Dispatcher } from '../dispatch.ts';
import { Acks } from './acks.ts';
import type { Gaps } from './gaps.ts';
import { Lane } from './start-queue.ts';
import type { AgentSession, ReadyParts } from './sessions.ts';
import { type ReportBudget, ReportIntake } from './report-intake.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';

export interface EquipDeps {
  store: Pick<Store, 'appendReports'>;
  dispatcher: Dispatcher;
  budget: ReportBudget;
  gaps: Gaps;
  log: Pick<Logger, 'warn' | 'error'>;
  now: () => number;
  publish: (execution: Execution) => void;
}

export interface Arrived {
  hello: Hello;
  /** Server clock minus agent clock, ms. */
  clockOffsetMs: number;
  /** What it holds and the store still waits for. */
  held: readonly Execution[];
}

export function equip(deps: EquipDeps, session: AgentSession, arrived: Arrived): ReadyParts {
  const { connection } = session;
  const lane = new Lane({
    maxConcurrency: arrived.hello.max_concurrency,
    inFlight: arrived.held.map(({ executionId }) => executionId),
    lastNumber: arrived.hello.last_dispatch_number,
    unsentBytes: () => connection.unsentBytes,
    outOfOrder: (execution) => void deps.dispatcher.lose(session, execution, OUT_OF_ORDER),
  });
  const acks = new Acks({ send: (frame) => connection.send(frame), unsentBytes: () => connection.unsentBytes });
  const ready: ReadyParts = {
    lane,
    acks,
    claims: deps.dispatcher.claims(session, lane),
    reports: intake(deps, session, arrived.clockOffsetMs, (results) => committed(deps, session, ready, results)),
  };
  return ready;
}

const GAP = 'Reports of it are missing on the server and on its agent (was the database restored from a backup?).';
const OUT_OF_ORDER = 'A later execution went out before it: sending it now could start it twice.';

function intake(
  deps: EquipDeps,
  session: AgentSession,
  clockOffsetMs: number,
  onCommitted: (results: readonly ReportResult[]) => void,
): ReportIntake {
  const { connection, machineId } = session;
  return new ReportIntake({
    budget: deps.budget,
    append: (records) => deps.store.appendReports({ machineId, records, clockOffsetMs, now: deps.now() }),
    committed: onCommitted,
    pause: () => connection.pause(),
    resume: () => connection.resume(),
    malformed: (reason) => connection.close(CLOSE.badFrame, reason),
    unavailable: (cause) =>
      deps.log.warn({ [LOG_KEY.machineId]: machineId, err: cause }, 'reports wait: the store cannot be written'),
    failed: (cause) => {
      deps.log.error({ [LOG_KEY.machineId]: machineId, err: cause }, 'reports could not be written');
      connection.close(CLOSE.restart, 'the reports could not be written');
    },
  });
}

/** Whoever waits is told first, then the agent may forget; a freed slot is filled. */
function committed(
  deps: EquipDeps,
  session: AgentSession,
  { lane, acks, claims }: ReadyParts,
  results: readonly ReportResult[],
): void {
  for (const { executionId, outcome, execution } of results) {
    if (execution === undefined) continue;
    if (isTerminal(execution.status)) lane.finished(executionId);
    if (outcome !== 'applied') continue;
    deps.gaps.filled(executionId);
    deps.publish(execution);
  }
  acks.add(results);
  claims.pump();
  const refused = results.find(({ outcome }) => outcome === 'foreign' || outcome === 'gap');
  if (refused !== undefined) refuse(deps, session, refused);
}

/** The agent comes back and sends what is missing, or forgets what is not its own. */
function refuse(deps: EquipDeps, session: AgentSession, { executionId, outcome, execution }: ReportResult): void {
  const { connection, machineId } = session;
  deps.log.warn(
    { [LOG_KEY.machineId]: machineId, [LOG_KEY.executionId]: executionId, [LOG_KEY.outcome]: outcome },
    'reports refused',
  );
  if (outcome === 'foreign') {
    connection.close(CLOSE.foreignExecution, `${executionId} is not of this machine`);
    return;
  }
  if (execution !== undefined && deps.gaps.again(executionId)) void deps.dispatcher.lose(session, execution, GAP);
  connection.close(CLOSE.badFrame, `a report of ${executionId} is missing`);
}
