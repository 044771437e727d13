/** Shown in place of an empty list: what it would contain, and how to add it. */
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

/** Shown in place of a page whose data is loading or missing. */
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
