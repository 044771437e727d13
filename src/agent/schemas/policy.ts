/** policy.json, as a schema.  `expected` describes a valid rule; a message puts it after the rule's name. */
import { type Static, Type } from 'typebox';

const patterns = (expected: string) => Type.Array(Type.String(), { expected });
const count = (minimum: number, expected: string) =>
  Type.Integer({ minimum, maximum: Number.MAX_SAFE_INTEGER, expected });
const aboveZero = (expected: string) => Type.Number({ exclusiveMinimum: 0, expected });

/**
 * A pattern of commands: the executable's path alone, for any arguments, or the path and each argument. A last `**` stands for any
 * further arguments.
 */
const CommandPatternSchema = Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })]);
export type CommandPattern = Static<typeof CommandPatternSchema>;

const commands = () =>
  Type.Array(CommandPatternSchema, {
    expected: 'must be a list of commands, such as ["/usr/bin/uptime", ["/usr/bin/systemctl", "restart", "*"]]',
  });

/** The content of policy.json. An absent rule limits nothing. */
export const PolicyFileSchema = Type.Object({
  /** Only these commands run. */
  allow_commands: Type.Optional(commands()),
  /** These commands do not run, even if they are allowed. */
  deny_commands: Type.Optional(commands()),
  /** Working directories, as globs of absolute paths without symbolic links. */
  allow_cwd: Type.Optional(patterns('must be a list of directories, such as ["/srv/**"]')),
  allow_users: Type.Optional(patterns('must be a list of users, such as ["deploy"]')),
  /** Names of variables that a caller cannot set. */
  deny_env: Type.Optional(patterns('must be a list of variables, such as ["LD_*"]')),
  /** Ceilings: a request for more gets this much. */
  max_timeout_ms: Type.Optional(aboveZero('must be a number of milliseconds above 0, such as 60000')),
  max_output_bytes: Type.Optional(count(0, 'must be a whole number of bytes, such as 1048576')),
  max_memory_bytes: Type.Optional(count(1, 'must be a whole number of bytes above 0, such as 1073741824')),
  max_cpus: Type.Optional(aboveZero('must be a number of processors above 0, such as 1.5')),
  max_pids: Type.Optional(count(1, 'must be a whole number of processes above 0, such as 100')),
});
export type Rules = Static<typeof PolicyFileSchema>;
