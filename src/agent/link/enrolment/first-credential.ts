import type { Logger } from 'pino';
import { refusedDelay } from '../connection/backoff.ts';
import type { Credential } from './credential.ts';
import { EnrolRefusedError } from './enrol.ts';

export interface FirstCredentialOptions {
  /** Reads the join token again, because its file may have changed. Undefined if there is none. */
  readToken: () => string | undefined;
  enrol: (token: string) => Promise<Credential>;
  /** Rejects when the agent leaves. */
  pause: (ms: number) => Promise<void>;
  log: Pick<Logger, 'debug' | 'warn'>;
  /** State directory, named in messages. */
  dir: string;
}

/**
 * Enrols a machine that has no credential. A refused token is tried again endlessly, with long delays: a service manager would restart an
 * agent that exited every few seconds. Throws if there is no token.
 */
export async function firstCredential(options: FirstCredentialOptions): Promise<Credential> {
  const { enrol, pause, log, dir } = options;
  let token = options.readToken();
  if (token === undefined) {
    throw new Error(
      `this machine is not enrolled yet: set EXECPLANE_JOIN_TOKEN to a token from "execplane tokens create" (${dir} has no credential).`,
    );
  }
  let lastMessage = '';
  for (;;) {
    try {
      return await enrol(token);
    } catch (error) {
      if (!(error instanceof EnrolRefusedError)) throw error;
      log[error.message === lastMessage ? 'debug' : 'warn'](`${error.message} Trying again slowly.`);
      lastMessage = error.message;
    }
    await pause(refusedDelay(Math.random()));
    token = readAgain(options) ?? token;
  }
}

/** Reads the token again. Undefined if that fails (stdin is empty by now, a file may be deleted): then the earlier token is used. */
function readAgain({ readToken }: FirstCredentialOptions): string | undefined {
  try {
    return readToken();
  } catch {
    return undefined;
  }
}
