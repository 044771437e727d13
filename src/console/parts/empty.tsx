/** In place of an empty list: what would be here, and how it comes. */
import type { ReactNode } from 'react';
import { ErrorNotice } from './notice.tsx';

export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children !== undefined && <p>{children}</p>}
      {action}
    </div>
  );
}

export function Loading() {
  return (
    <div className="loading" role="status">
      Loading …
    </div>
  );
}

/** In place of a page whose subject is not there: not yet, or not to be had. */
export function Unavailable({ title, error }: { title: string; error: unknown }) {
  return (
    <>
      <div className="page-head">
        <h1>{title}</h1>
      </div>
      {error === null ? <Loading /> : <ErrorNotice error={error} />}
    </>
  );
}
