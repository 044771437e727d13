import type { Logger } from 'pino';
import { refusedDelay } from '../connection/backoff.ts';
import type { Credential } from './credential.ts';
import { EnrolRefusedError } from './enrol.ts';

export interface FirstCredentialOptions {
  /** The join token as it is now: a file may get another one while this waits. Undefined where there is none. */
  readToken: () => string | undefined;
  enrol: (token: string) => Promise<Credential>;
  /** Rejects where the agent leaves. */
  pause: (ms: number) => Promise<void>;
  log: Pick<Logger, 'debug' | 'warn'>;
  /** State directory, for what is said. */
  dir: string;
}

/**
 * Enrols a machine that never was. A token that is refused is tried again, slowly and for ever: an agent that ended by it
 * would be started again every few seconds by whoever keeps it running. Throws where there is no token at all.
 */
export async function firstCredential(options: FirstCredentialOptions): Promise<Credential> {
  const { enrol, pause, log, dir } = options;
  let token = options.readToken();
  if (token === undefined) {
    throw new Error(
      `this machine is not enrolled yet: set EXECPLANE_JOIN_TOKEN to a token made by "execplane tokens create" (${dir} has no credential).`,
    );
  }
  let told = '';
  for (;;) {
    try {
      return await enrol(token);
    } catch (error) {
      if (!(error instanceof EnrolRefusedError)) throw error;
      log[error.message === told ? 'debug' : 'warn'](`${error.message} Trying again slowly.`);
      told = error.message;
    }
    await pause(refusedDelay(Math.random()));
    token = readAgain(options) ?? token;
  }
}

/** Stdin is empty by now, and a file may be gone: then the token of before is all there is. */
function readAgain({ readToken }: FirstCredentialOptions): string | undefined {
  try {
    return readToken();
  } catch {
    return undefined;
  }
}
