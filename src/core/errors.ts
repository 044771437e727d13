/** The registry of refusals with a code: status, whether a retry can help, and the text. */
export const API_ERRORS = {
  AUTH_REQUIRED: {
    status: 401,
    retryable: false,
    message: 'An API key is required: Authorization: Bearer KEY, or x-api-key.',
  },
  AUTH_INVALID: {
    status: 401,
    retryable: false,
    message: 'The API key is not valid: it is unknown, expired or revoked.',
  },
  AUTH_SCOPE_FORBIDDEN: { status: 403, retryable: false, message: 'The API key does not allow this request.' },
  IDEMPOTENCY_KEY_REUSED: {
    status: 409,
    retryable: false,
    message: 'This Idempotency-Key was used with another request within 24 hours.',
  },
  EXECUTION_NOT_FINISHED: {
    status: 409,
    retryable: true,
    message: 'The execution has not ended: its whole output can be read only after the end.',
  },
  REVISION_MISMATCH: {
    status: 409,
    retryable: true,
    // A repetition with the same If-Match cannot succeed: the caller has to read the machine first.
    repeatable: false,
    message: 'The machine has changed: its revision is not the one in If-Match. Read it again.',
  },
  INVALID_STATE: { status: 409, retryable: false, message: 'The request is not possible in the present state.' },
  RATE_LIMITED: { status: 429, retryable: true, message: 'Too many requests: try again later.' },
  DEPENDENCY_UNAVAILABLE: {
    status: 503,
    retryable: true,
    message: 'The database cannot be written now, and nothing was changed. Try again.',
  },
} as const satisfies Record<string, ErrorRule>;

interface ErrorRule {
  status: 401 | 403 | 409 | 429 | 503;
  retryable: boolean;
  /** False: the same request cannot succeed later. */
  repeatable?: boolean;
  message: string;
}

export type ApiErrorCode = keyof typeof API_ERRORS;

/** Thrown by a route to refuse a request with a registered code. `message` replaces the registry's text. */
export class ApiError extends Error {
  readonly code: ApiErrorCode;
  readonly retryable: boolean;
  /** Time after which to send the same request again, in ms (1 to 60 000); only if that can help. */
  readonly retryAfterMs: number | undefined;
  readonly details: Record<string, string> | undefined;

  constructor(
    code: ApiErrorCode,
    options: {
      message?: string;
      retryable?: boolean;
      retryAfterMs?: number;
      details?: Record<string, string>;
      cause?: unknown;
    } = {},
  ) {
    super(options.message ?? API_ERRORS[code].message, { cause: options.cause });
    this.name = 'ApiError';
    this.code = code;
    const rule: ErrorRule = API_ERRORS[code];
    this.retryable = options.retryable ?? rule.retryable;
    const repeatable = this.retryable && rule.repeatable !== false;
    this.retryAfterMs = repeatable ? (options.retryAfterMs ?? 1000) : undefined;
    this.details = options.details;
  }
}
