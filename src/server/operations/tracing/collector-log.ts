/** Logs each outage of the collector once, and its recovery once. */
import { ExportResultCode } from '@opentelemetry/core';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import type { Logger } from 'pino';
import { LOG_KEY } from '../../../node/log-keys.ts';

/** Returns the same exporter, with its failures logged. */
export function collectorLog(
  exporter: SpanExporter,
  { log, collector }: { log: Pick<Logger, 'info' | 'warn'>; collector: string },
): SpanExporter {
  let failing = false;
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const failed = result.code === ExportResultCode.FAILED;
        const failure = result.error?.message;
        if (failed && !failing)
          log.warn(
            { [LOG_KEY.collector]: collector, [LOG_KEY.failure]: failure },
            'the collector does not accept traces; spans are lost until it does',
          );
        if (!failed && failing) log.info({ [LOG_KEY.collector]: collector }, 'the collector accepts traces again');
        failing = failed;
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
  };
}
