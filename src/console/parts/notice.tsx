/** Notices and errors, with advice. */
import type { ReactNode } from 'react';
import { RefusedError, UnreachableError } from '../../client/http/errors.ts';

/** An error of a request: its meaning and a remedy. */
export function ErrorNotice({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const { title, detail } = explained(error);
  return (
    <Notice tone="bad" title={title}>
      <p>{detail}</p>
      {onRetry !== undefined && (
        <div className="row">
          <button type="button" className="button small" onClick={onRetry}>
            Try again
          </button>
        </div>
      )}
    </Notice>
  );
}

export function Notice(props: { tone: 'bad' | 'warn' | 'good' | 'busy'; title: string; children?: ReactNode }) {
  return (
    <div className={`notice tone-${props.tone}`} role={props.tone === 'bad' ? 'alert' : 'status'}>
      <strong>{props.title}</strong>
      {props.children}
    </div>
  );
}

function explained(error: unknown): { title: string; detail: string } {
  if (error instanceof UnreachableError) {
    return {
      title: 'The server cannot be reached',
      detail: 'Commands keep running. This page retries by itself. Check that the server runs and the network works.',
    };
  }
  if (!(error instanceof RefusedError)) return { title: 'The request failed', detail: String(error) };
  const request = error.requestId === undefined ? '' : ` (request ${error.requestId})`;
  switch (error.status) {
    case 403:
      return { title: 'This key does not permit this action', detail: error.message };
    case 404:
      return {
        title: 'Not found',
        detail: `${error.message} It may have been removed, or its retention period is over.`,
      };
    case 422:
      return { title: 'A field of the form is not valid', detail: error.message };
    case 503:
      return { title: 'The server cannot write now', detail: `${error.message} Its disk may be full.${request}` };
    default:
      return {
        title: 'The server refused the request',
        detail: `${error.message}${error.status >= 500 ? request : ''}`,
      };
  }
}
