/** The log: JSON lines on stderr. Of an error only the properties listed here are logged. */
import { type DestinationStream, type Logger, pino } from 'pino';
import { LogDestination } from '../node/log-destination.ts';
import type { ServerConfig } from './config.ts';

const STDERR = 2;
const MAX_CAUSES = 4;

interface LoggedError {
  type: string;
  message: string;
  code?: string;
  stack?: string;
  cause?: LoggedError;
}

/** Creates the log of a running server. */
export function logToStderr({ logLevel, logFormat }: Pick<ServerConfig, 'logLevel' | 'logFormat'>): Logger {
  return createLogger(logLevel, new LogDestination({ fd: STDERR, format: logFormat }));
}

export function createLogger(level: string, to: DestinationStream): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers: { err: loggedError } }, to);
}

/** Returns type, message, code, stack and causes of an error, without the properties that libraries add. */
function loggedError(error: unknown, depth = 0): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: 'not an Error' };
  return {
    type: error.name,
    message: error.message,
    ...('code' in error && typeof error.code === 'string' ? { code: error.code } : {}),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(error.cause === undefined || depth >= MAX_CAUSES ? {} : { cause: loggedError(error.cause, depth + 1) }),
  };
}
