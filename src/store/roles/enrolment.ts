/** Join tokens, and enrolment. */
import type { ActorRevoked, Actor, OnBehalf, Replay } from './idempotency.ts';
import type { Machine } from './machines.ts';
import type { Page, PageRequest } from './pages.ts';

export interface JoinToken {
  joinTokenId: string;
  machineId?: string;
  reusable: boolean;
  createdAt: number;
  expiresAt: number;
}

export type EnrolOutcome =
  | { outcome: 'enrolled'; machine: Machine; replacedCredential: boolean }
  /** The token is unknown, used, expired or revoked. */
  | { outcome: 'token_invalid' }
  /** The id exists (or existed) and the token is not bound to it, or is bound to another. */
  | { outcome: 'machine_refused' }
  /** Another machine has the name that the agent requests. */
  | { outcome: 'name_taken' };

/** `machine_removed`: the token names a machine that was removed, whose id cannot be used again. */
export type JoinTokenOutcome =
  | { outcome: 'created' }
  | { outcome: 'machine_removed'; machine: Machine }
  | Replay
  | ActorRevoked;

export interface EnrolmentStore {
  /** Also creates the machine that the token names if it does not exist, so that executions can wait for it before its agent joins. */
  createJoinToken(p: { token: JoinToken; tokenHash: Buffer; now: number } & OnBehalf): Promise<JoinTokenOutcome>;
  getJoinToken(p: { joinTokenId: string }): Promise<JoinToken | undefined>;
  /** Valid tokens, newest first. */
  listJoinTokens(p: { now: number } & PageRequest): Promise<Page<JoinToken>>;
  revokeJoinToken(p: {
    joinTokenId: string;
    now: number;
    actor?: Actor;
  }): Promise<{ outcome: 'revoked'; token: JoinToken } | { outcome: 'not_found' } | ActorRevoked>;
  /**
   * Uses a token and stores the credential of its machine. A repetition with the same token and credential has the same result, so that a
   * lost reply is harmless. `requestedMachineId`: the agent's request; `freshMachineId`: a new id for a token that names no machine.
   */
  enrol(p: {
    tokenHash: Buffer;
    requestedMachineId?: string;
    /** The name that the agent requests for the machine. */
    name?: string;
    freshMachineId: string;
    credentialHash: Buffer;
    now: number;
  }): Promise<EnrolOutcome>;
}
