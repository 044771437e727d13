/** What the log says of the collector: once that it takes nothing, and once that it does again. */
import { ExportResultCode } from '@opentelemetry/core';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import type { Logger } from 'pino';
import { LOG_KEY } from '../../../node/log-keys.ts';

/** The same exporter, with its failures told. */
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
            'traces are not taken by their collector',
          );
        if (!failed && failing) log.info({ [LOG_KEY.collector]: collector }, 'traces are taken again');
        failing = failed;
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
  };
}
