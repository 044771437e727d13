/** A create as one server forwards it to another, and the answer. Buffers travel as base64, the span of the request as its identity. */
import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { type Static, Type } from 'typebox';
import type { CreateRequest, CreateResult } from '../../commands/create-request.ts';

type Plain = Omit<CreateRequest, 'stdin' | 'idempotency' | 'trace'>;

/** The request was validated by the server that forwards it. */
export const ForwardedCreateSchema = Type.Object({
  executionId: Type.String(),
  request: Type.Unsafe<Plain>(
    Type.Object({ machineId: Type.String(), command: Type.Array(Type.String()), createdBy: Type.String() }),
  ),
  stdin: Type.Object({
    mode: Type.Enum(['none', 'fixed', 'open'] as const),
    base64: Type.Optional(Type.String()),
  }),
  idempotency: Type.Optional(
    Type.Object({
      apiKeyId: Type.String(),
      key: Type.String(),
      digest: Type.String(),
      expiresAt: Type.Number(),
    }),
  ),
  span: Type.Optional(Type.Object({ traceId: Type.String(), spanId: Type.String(), traceFlags: Type.Integer() })),
});
export type ForwardedCreate = Static<typeof ForwardedCreateSchema>;

/** `not_here`: nothing was tried, because the machine's agent is elsewhere. `failed`: the execution may have been created. */
export const CreateAnswerSchema = Type.Unsafe<CreateResult | { outcome: 'not_here' } | { outcome: 'failed' }>(
  Type.Object({ outcome: Type.String() }),
);
export type CreateAnswer = Static<typeof CreateAnswerSchema>;

/** Returns the forwarded form of a request. */
export function forwardedCreate(executionId: string, asked: CreateRequest): ForwardedCreate {
  const { stdin, idempotency, trace: context, ...request } = asked;
  const { mode } = stdin;
  const span = context && trace.getSpanContext(context);
  return {
    executionId,
    request,
    stdin: mode === 'fixed' ? { mode, base64: stdin.bytes.toString('base64') } : { mode },
    ...(idempotency && { idempotency: { ...idempotency, digest: idempotency.digest.toString('base64') } }),
    ...(span && { span: { traceId: span.traceId, spanId: span.spanId, traceFlags: span.traceFlags } }),
  };
}

/** Returns the request of a forwarded create. */
export function requestOf({ request, stdin, idempotency, span }: ForwardedCreate): CreateRequest {
  const { mode, base64 = '' } = stdin;
  return {
    ...request,
    stdin: mode === 'fixed' ? { mode, bytes: Buffer.from(base64, 'base64') } : { mode },
    ...(idempotency && { idempotency: { ...idempotency, digest: Buffer.from(idempotency.digest, 'base64') } }),
    ...(span && { trace: trace.setSpanContext(ROOT_CONTEXT, { ...span, isRemote: true }) }),
  };
}
