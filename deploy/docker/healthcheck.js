/** Healthcheck of the server's container: exit code 0 if `/readyz` at the given address succeeds. */
fetch(process.argv[2], { signal: AbortSignal.timeout(4000) }).then(
  (response) => process.exit(response.ok ? 0 : 1),
  () => process.exit(1),
);
