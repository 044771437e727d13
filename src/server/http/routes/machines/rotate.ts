/** Gives the agent of a machine a new credential while it runs. */
import { nanoid } from 'nanoid';
import type { Machine, OnBehalf } from '../../../../store/store.ts';
import { ApiError } from '../../../../core/errors.ts';
import { newJoinToken } from '../../authentication/admin-key.ts';
import type { App, HttpContext } from '../../http-context.ts';
import { actorOf, withIdempotencyKey } from '../../requests/idempotency.ts';
import { secretHash } from '../../authentication/key-ring.ts';
import { MachineParams } from '../../../../api/fields.ts';
import { MachineDetailSchema } from '../../../../api/machine.ts';
import { machineDetailWire } from '../../replies/wire.ts';
import { findMachine } from '../../requests/lookup.ts';

/** Validity of the join token for the exchange, ms. */
const TOKEN_LIFE_MS = 10 * 60 * 1000;
const UNKNOWN = 'The server that the agent was connected to does not answer: the agent may have a new credential.';

/** Registers the route that gives an agent a new credential. */
export function rotateRoute(app: App, context: HttpContext): void {
  app.post(
    '/v1/machines/:machine_id/rotate',
    {
      config: { access: 'admin' },
      schema: {
        summary: 'Give the connected agent a new credential, which then replaces the old one',
        operationId: 'rotateMachineCredential',
        tags: ['Machines'],
        params: MachineParams,
        response: { 200: MachineDetailSchema },
      },
    },
    async (request, reply) => {
      const machineId = request.params.machine_id;
      const machine = await findMachine(context, machineId);
      const keyed = { onBehalf: await context.onBehalfOf(request), resource: machineId, reply, now: context.now() };
      await withIdempotencyKey(context.store, keyed, async (replayed) => {
        if (replayed) return;
        if (machine.phase === 'destroyed') throw invalidState('The machine was removed.', 'destroyed');
        await askAgent(context, machine, actorOf(keyed));
        await context.audit.write(request, {
          action: 'machine.rotate',
          machineId,
          resource: machineId,
          outcome: 'asked',
        });
      });
      return machineDetailWire(machine);
    },
  );
}

/** Sends the agent a join token that is bound to its machine, with which it enrols again: the server never has the credential itself. */
async function askAgent(
  context: HttpContext,
  { machineId, phase }: Machine,
  actor: Pick<OnBehalf, 'actor'>,
): Promise<void> {
  if (phase !== 'running') throw away();
  const now = context.now();
  const joinTokenId = `join-${nanoid(16)}`;
  const joinToken = newJoinToken();
  const made = await context.store.createJoinToken({
    ...actor,
    token: { joinTokenId, machineId, reusable: false, createdAt: now, expiresAt: now + TOKEN_LIFE_MS },
    tokenHash: secretHash(joinToken),
    now,
  });
  if (made.outcome === 'actor_revoked') throw new ApiError('AUTH_INVALID');
  if (made.outcome === 'machine_removed') throw invalidState('The machine was removed.', 'destroyed');
  const outcome = await context.control.rotateCredential({ machineId, joinToken });
  if (outcome === 'sent') return;
  await context.store.revokeJoinToken({ joinTokenId, now });
  throw outcome === 'unknown' ? invalidState(UNKNOWN, outcome) : away();
}

function away(): ApiError {
  return invalidState(
    'The agent is offline: enrol it again with a join token that is bound to the machine.',
    'agent_away',
  );
}

function invalidState(message: string, reason: string): ApiError {
  return new ApiError('INVALID_STATE', { message, details: { reason } });
}
