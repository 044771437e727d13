/** Sent by the console with what may change something: no page of another origin can add it without being asked first. */
export const CONSOLE_HEADER = 'x-execplane-console';
