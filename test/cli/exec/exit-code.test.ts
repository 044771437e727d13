import { describe, expect, test } from 'vitest';
import { exitCodeOf } from '../../../src/cli/exec/exit-code.ts';

describe('exit codes', () => {
  test.each<[Parameters<typeof exitCodeOf>[0], number]>([
    [{ status: 'succeeded', exit_code: 0 }, 0],
    [{ status: 'failed', error_code: 'nonzero_exit', exit_code: 7 }, 7],
    [{ status: 'failed', error_code: 'signaled', signal: 9 }, 137],
    [{ status: 'expired', error_code: 'execution_timed_out', signal: 9 }, 124],
    [{ status: 'failed', error_code: 'command_not_found', exit_code: 127 }, 127],
    [{ status: 'failed', error_code: 'permission_denied', exit_code: 126 }, 126],
    [{ status: 'failed', error_code: 'agent_lost' }, 125],
    [{ status: 'failed', error_code: 'agent_stopped', signal: 15 }, 125],
    [{ status: 'failed', error_code: 'cwd_not_found' }, 125],
    [{ status: 'expired', error_code: 'start_timed_out' }, 125],
    [{ status: 'cancelled', error_code: 'cancelled', signal: 15 }, 143],
    [{ status: 'cancelled', error_code: 'cancelled' }, 125],
    [{ status: 'cancelled', error_code: 'cancelled', exit_code: 0 }, 125],
  ])('%j is %d', (end, code) => expect(exitCodeOf(end)).toBe(code));
});
