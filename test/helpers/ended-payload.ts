import type { EndedPayload } from '../../src/core/report.ts';

/** The payload of `ended` of a command that succeeded without output. */
export const SUCCEEDED: EndedPayload = {
  status: 'succeeded',
  exit_code: 0,
  stdout_bytes: 0,
  stderr_bytes: 0,
  stdout_truncated: false,
  stderr_truncated: false,
};
