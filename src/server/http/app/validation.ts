/** Validation without coercion: a body is accepted exactly as sent or refused. Only query parameters are parsed from text. */
import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { invalid, notFound } from '../replies/problem.ts';
import { fieldErrors } from '../replies/field-errors.ts';
import { queryReader } from './query.ts';

/** Fastify calls this at start, once for each route and part of the request. */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  if (httpPart === 'querystring') return queryReader(schema);
  const compiled = Compile(schema);
  if (httpPart === 'params') {
    return (value: unknown) => (compiled.Check(value) ? { value } : { error: notFound('The id is malformed.') });
  }
  return (value: unknown) => (compiled.Check(value) ? { value } : { error: invalid(fieldErrors(schema, value)) });
};
