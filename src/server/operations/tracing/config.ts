/** The settings of traces, from the variables that OpenTelemetry defines. Traces are off unless an endpoint is set. */
import { ConfigError } from '../../../node/config-error.ts';

export interface TracingConfig {
  /** URL to which spans are POSTed. */
  url: URL;
  headers: Record<string, string>;
  serviceName: string;
}

type Environment = Readonly<Partial<Record<string, string>>>;

/** The version that OpenTelemetry's SDK needs; everything else runs on 22.12. */
const OLDEST_NODE = [22, 15] as const;

/** Reads the OTEL_ variables. `undefined`: no traces. `node`: the version that this runs on. Throws ConfigError. */
export function readTracingConfig(
  env: Environment = process.env,
  node: string = process.versions.node,
): TracingConfig | undefined {
  const own = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || undefined;
  const shared = env['OTEL_EXPORTER_OTLP_ENDPOINT'] || undefined;
  if (env['OTEL_SDK_DISABLED'] === 'true' || (own ?? shared) === undefined) return undefined;
  const name = own === undefined ? 'OTEL_EXPORTER_OTLP_ENDPOINT' : 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT';
  if (isOlder(node)) {
    throw new ConfigError(`${name}: traces need Node.js ${OLDEST_NODE.join('.')} or later; this is ${node}`);
  }
  // The shared endpoint is the base URL of all signals. The endpoint of traces is used unchanged.
  const url = URL.parse(own ?? `${shared?.replace(/\/$/, '')}/v1/traces`);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new ConfigError(`${name}: must be an http or https URL such as http://127.0.0.1:4318`);
  }
  return {
    url,
    headers: {
      ...readHeaders('OTEL_EXPORTER_OTLP_HEADERS', env),
      ...readHeaders('OTEL_EXPORTER_OTLP_TRACES_HEADERS', env),
    },
    serviceName: env['OTEL_SERVICE_NAME'] || 'execplane',
  };
}

function isOlder(node: string): boolean {
  const [major = 0, minor = 0] = node.split('.').map(Number);
  return major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1]);
}

/** Parses `name=value,name=value` with percent-encoded values. Errors do not quote the values, because they contain keys. */
function readHeaders(variable: string, env: Environment): Record<string, string> {
  const pairs = (env[variable] ?? '').split(',').filter((pair) => pair.trim() !== '');
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, name = '', encoded = ''] = /^\s*([\w!#$%&'*+.^`|~-]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? [];
      const value = decoded(encoded);
      if (name === '' || value === undefined) {
        throw new ConfigError(`${variable}: must have the form name=value,name=value`);
      }
      return [name, value];
    }),
  );
}

/** Decodes a value. `undefined` if it is not percent-encoded, or not a valid header value. */
function decoded(text: string): string | undefined {
  try {
    const value = decodeURIComponent(text);
    return /^[\t -~]*$/.test(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
