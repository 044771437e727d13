/** Header that the console sends with requests that may change something. A page of another origin cannot add it without a preflight. */
export const CONSOLE_HEADER = 'x-execplane-console';
