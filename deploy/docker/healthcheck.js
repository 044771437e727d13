/** Healthcheck of the server's container: exit code 0 when it is ready to work. */
const port = process.env['EXECPLANE_PORT'] || '7411';
const scheme = process.env['EXECPLANE_TLS_CERT'] ? 'https' : 'http';

// The certificate is for the name that clients use, not for this address.
if (scheme === 'https') process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';

fetch(`${scheme}://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(4000) }).then(
  (response) => process.exit(response.ok ? 0 : 1),
  () => process.exit(1),
);
