/** Creates the span of a request: below the caller's span if it sends one (`traceparent`), and named by the pattern of its route. */
import {
  type Context,
  defaultTextMapGetter,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import type { FastifyReply, FastifyRequest } from 'fastify';

export interface RequestTracing {
  /** Returns the parent of the spans that a request causes. */
  contextOf(request: FastifyRequest): Context | undefined;
  /** Fastify's onRequest hook; register it before hooks that answer. */
  begin(request: FastifyRequest, reply: FastifyReply, done: () => void): void;
  /** Ends the open spans when the server stops: connections report their end only after the server has reported its own. */
  endAll(): void;
}

/** Creates the hooks that make a span for each request. */
export function traceRequests(tracer: Tracer): RequestTracing {
  const propagator = new W3CTraceContextPropagator();
  const contexts = new WeakMap<FastifyRequest, Context>();
  const open = new Set<() => void>();
  return {
    contextOf: (request) => contexts.get(request),
    begin(request, reply, done) {
      const route = request.is404 ? undefined : request.routeOptions.url;
      // Without spans for probes and scrapes, which would be most of those of an idle server.
      if (route?.startsWith('/v1/')) {
        const caller = propagator.extract(ROOT_CONTEXT, request.headers, defaultTextMapGetter);
        const attributes = attributesOf(request, route);
        const span = tracer.startSpan(`${request.method} ${route}`, { kind: SpanKind.SERVER, attributes }, caller);
        contexts.set(request, trace.setSpan(caller, span));
        // Not onResponse: a client that disconnects in the middle of a stream ends the request as well.
        const over = (): void => {
          if (open.delete(over)) end(span, reply);
        };
        open.add(over);
        reply.raw.once('close', over);
      }
      done();
    },
    endAll() {
      for (const over of open) over();
    },
  };
}

function attributesOf(request: FastifyRequest, route: string) {
  const { machine_id: machineId, execution_id: executionId } = (request.params ?? {}) as Record<string, string>;
  return {
    'http.request.method': request.method,
    'http.route': route,
    'execplane.request_id': request.id,
    ...(machineId === undefined ? {} : { 'execplane.machine_id': machineId }),
    ...(executionId === undefined ? {} : { 'execplane.execution_id': executionId }),
  };
}

function end(span: Span, { statusCode }: FastifyReply): void {
  span.setAttribute('http.response.status_code', statusCode);
  if (statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR, message: `HTTP ${statusCode}` });
  span.end();
}
