/** A setting, or a file that it names, cannot be used. The message contains its name. The process exits with code 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly exitCode = 2;
}
