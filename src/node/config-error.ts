/** A setting, or a file that it names, cannot be used. The message names it. The process exits with code 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly exitCode = 2;
}
