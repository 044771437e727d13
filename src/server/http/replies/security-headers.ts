/**
 * What every answer tells a browser that somehow got hold of it: nothing to keep, run, frame or read from another page. No
 * access-control header is ever sent, so that scripts of other origins can read no answer.
 */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};
