import { expect, test } from 'vitest';
import { ConfigError } from '../../../../src/node/config-error.ts';
import { readTracingConfig } from '../../../../src/server/operations/tracing/config.ts';

test('traces are off unless an endpoint is set', () => {
  expect(readTracingConfig({})).toBeUndefined();
  expect(readTracingConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: '' })).toBeUndefined();
  const on = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318/' };
  expect(readTracingConfig({ ...on, OTEL_SDK_DISABLED: 'true' })).toBeUndefined();
  expect(readTracingConfig(on)?.url.href).toBe('http://127.0.0.1:4318/v1/traces');
  const own = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://example.com/x', OTEL_SERVICE_NAME: 'mine' };
  expect(readTracingConfig({ ...on, ...own })).toMatchObject({ serviceName: 'mine' });
  expect(readTracingConfig({ ...on, ...own })?.url.href).toBe('https://example.com/x');
});

test('a Node that is too old for traces is refused only if traces are on', () => {
  const on = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };
  expect(() => readTracingConfig(on, '22.14.0')).toThrow(
    /OTEL_EXPORTER_OTLP_ENDPOINT: .*22\.15 or later; this is 22\.14\.0/,
  );
  expect(readTracingConfig({}, '22.14.0')).toBeUndefined();
  expect(readTracingConfig(on, '22.15.0')).toBeDefined();
  expect(readTracingConfig(on, '24.1.0')).toBeDefined();
});

test.each([
  { OTEL_EXPORTER_OTLP_ENDPOINT: 'localhost:4318' },
  { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a', OTEL_EXPORTER_OTLP_HEADERS: 'hunter2' },
  { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a', OTEL_EXPORTER_OTLP_HEADERS: 'x=%hunter2' },
])('a wrong setting stops the start with a message that omits its value: %j', (env) => {
  const read = () => readTracingConfig(env);
  expect(read).toThrow(ConfigError);
  expect(read).toThrow(/^OTEL_EXPORTER_OTLP_/);
  expect(read).not.toThrow(/hunter2/);
});
