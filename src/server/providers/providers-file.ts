/** Reads the file with the providers of a server (EXECPLANE_PROVIDERS). It is read at start, and the API cannot change it. */
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { AUTOSLEEP_PATTERN, parseAutosleep } from '../../core/machines/autosleep.ts';
import { parseJson } from '../../core/json.ts';
import { OPERATIONS } from '../../core/machines/operation.ts';
import { ConfigError } from '../../node/config-error.ts';
import { readConfiguredText } from '../../node/files/configured-file.ts';
import type { Provider, Providers, ProviderSettings } from '../control/lifecycle/provider.ts';
import { runCommandHook } from './command-hook.ts';
import { runHttpHook } from './http-hook.ts';

const strict = { additionalProperties: false } as const;
const MAX_TIMEOUT_MS = 3_600_000;

const ProviderSchema = Type.Object(
  {
    command: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })),
    env: Type.Optional(Type.Record(Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]*$' }), Type.String(), strict)),
    url: Type.Optional(Type.String({ pattern: '^https?://' })),
    secret: Type.Optional(Type.String({ pattern: '^whsec_[A-Za-z0-9+/]{32,}={0,2}$' })),
    capabilities: Type.Array(Type.Enum([...OPERATIONS]), { minItems: 1, uniqueItems: true }),
    timeout_ms: Type.Optional(Type.Integer({ minimum: 100, maximum: MAX_TIMEOUT_MS })),
    concurrency: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
    max_machines: Type.Optional(Type.Integer({ minimum: 1 })),
    autosleep: Type.Optional(Type.String({ pattern: AUTOSLEEP_PATTERN })),
    min_awake_ms: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
    attributes: Type.Optional(Type.Record(Type.String({ pattern: '^[A-Za-z0-9_.-]{1,63}$' }), Type.String(), strict)),
  },
  strict,
);
const FileSchema = Type.Object(
  {
    default: Type.Optional(Type.String()),
    providers: Type.Record(Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' }), ProviderSchema, strict),
  },
  strict,
);
type ProviderEntry = Static<typeof ProviderSchema>;

const DEFAULT_TIMEOUT_MS = 300_000;
const DEFAULT_CONCURRENCY = 4;

/** The environment and the clock of all hooks, besides the settings of each provider. */
export interface HookContext {
  /** Environment variables of commands. */
  environment: Readonly<Record<string, string>>;
  /** ms since the epoch, for the signatures of requests to endpoints. */
  now: () => number;
}

/** Reads the file; without `path` there are no providers. Throws ConfigError with the setting and the place in the file. */
export function readProviders(path: string | undefined, context: HookContext): Providers {
  if (path === undefined) return { byName: new Map() };
  const value = parseJson(readConfiguredText('EXECPLANE_PROVIDERS', path));
  if (value === undefined) throw fault(path, 'is not JSON');
  if (!Value.Check(FileSchema, value)) {
    const [first] = Value.Errors(FileSchema, value);
    throw fault(path, `${first?.instancePath || '/'} ${first?.message ?? 'does not fit'}`);
  }
  const byName = new Map(
    Object.entries(value.providers).map(([name, entry]) => [name, provider(path, { name, entry, context })]),
  );
  if (value.default === undefined) return { byName };
  if (!byName.has(value.default)) throw fault(path, `default: there is no provider ${value.default}`);
  return { defaultName: value.default, byName };
}

function fault(path: string, message: string, cause?: unknown): ConfigError {
  return new ConfigError(`EXECPLANE_PROVIDERS: ${path}: ${message}`, { cause });
}

function provider(path: string, p: { name: string; entry: ProviderEntry; context: HookContext }): Provider {
  const { name, entry } = p;
  const { environment, now } = p.context;
  const { command, url, secret, timeout_ms: timeoutMs = DEFAULT_TIMEOUT_MS } = entry;
  const settings = settingsOf(path, name, entry);
  if (command !== undefined && url === undefined) {
    const env = { ...environment, ...entry.env };
    return {
      name,
      ...settings,
      run: (request, signal) => runCommandHook({ command, env, timeoutMs }, request, signal),
    };
  }
  if (url === undefined || command !== undefined) throw fault(path, `/providers/${name} needs a command or a url`);
  if (secret === undefined) throw fault(path, `/providers/${name} needs a secret with its url`);
  return { name, ...settings, run: (request, signal) => runHttpHook({ url, secret, timeoutMs, now }, request, signal) };
}

function settingsOf(path: string, name: string, entry: ProviderEntry): ProviderSettings {
  const { autosleep = 'never', max_machines: maxMachines, attributes = {} } = entry;
  const autosleepSeconds = parseAutosleep(autosleep);
  if (autosleepSeconds === undefined) throw fault(path, `/providers/${name}/autosleep is too long`);
  return {
    capabilities: new Set(entry.capabilities),
    concurrency: entry.concurrency ?? DEFAULT_CONCURRENCY,
    ...(maxMachines === undefined ? {} : { maxMachines }),
    autosleepSeconds,
    minAwakeMs: entry.min_awake_ms ?? 0,
    attributes: new Map(
      Object.entries(attributes).map(([attribute, pattern]) => {
        const place = `/providers/${name}/attributes/${attribute}`;
        return [attribute, whole(pattern, (cause) => fault(path, `${place} is not a regular expression`, cause))];
      }),
    ),
  };
}

/** Returns a pattern that matches whole values only. */
function whole(pattern: string, refuse: (cause: unknown) => ConfigError): RegExp {
  try {
    return new RegExp(`^(?:${pattern})$`, 'u');
  } catch (cause) {
    throw refuse(cause);
  }
}
