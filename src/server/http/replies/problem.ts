/** Errors that answer `application/problem+json`: everything but 401, 403, 409, 429 and 503. */
import { STATUS_CODES } from 'node:http';

/** One field that is not as it should be; `value` only where it can be no secret. */
export interface FieldError {
  /** As `body.command[1]`, `body.env.PATH`, `query.limit`. */
  location: string;
  message: string;
  value?: string | number | boolean | null;
}

/** What a route throws to refuse a request without a registered code. */
export class Problem extends Error {
  readonly status: number;
  readonly errors: readonly FieldError[] | undefined;
  /** Headers that belong to this refusal, as Content-Range on a 416. */
  readonly headers: Readonly<Record<string, string>> | undefined;

  constructor(
    status: number,
    detail: string,
    options: { errors?: readonly FieldError[]; headers?: Record<string, string> } = {},
  ) {
    super(detail);
    this.name = 'Problem';
    this.status = status;
    this.errors = options.errors;
    this.headers = options.headers;
  }
}

/** The body of a problem, as sent; `requestId` makes its `instance`. */
export function problemBody(problem: Problem, requestId: string): Record<string, unknown> {
  return {
    type: 'about:blank',
    title: STATUS_CODES[problem.status] ?? 'Error',
    status: problem.status,
    detail: problem.message,
    instance: `urn:execplane:request:${requestId}`,
    ...(problem.errors === undefined ? {} : { errors: problem.errors }),
  };
}

/** Whether the same request may succeed a little later. */
export function isRetryableStatus(status: number): boolean {
  return status === 408 || status >= 500;
}

/** 404 for an unknown route, a wrong method, a malformed id, an unknown resource. */
export function notFound(what = 'There is nothing at this address.'): Problem {
  return new Problem(404, what);
}

/** 422 for fields that fail their schema. */
export function invalid(errors: readonly FieldError[]): Problem {
  return new Problem(422, 'The request does not fit its schema: see errors.', { errors });
}
