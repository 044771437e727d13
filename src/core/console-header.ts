/** Sent by the console with requests that may change something: a page of another origin cannot add it without a preflight. */
export const CONSOLE_HEADER = 'x-execplane-console';
