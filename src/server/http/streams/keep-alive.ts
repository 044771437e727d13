/** Comments in streams of server-sent events, which keep proxies from closing a silent connection. */

/** Time without an event after which a comment is sent, ms. */
export const KEEP_ALIVE_MS = 15_000;
/** A comment, with one line break: an empty line would be an empty event for some decoders. */
export const COMMENT = ':\n';
