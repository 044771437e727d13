/** Asks before an action that cannot be undone. */
import { type ReactNode, useId, useState } from 'react';
import { Dialog } from './dialog.tsx';
import { ErrorNotice } from './notice.tsx';

interface ConfirmProps {
  title: string;
  /** The consequence of the action. */
  children: ReactNode;
  /** The text of the button. */
  action: string;
  /** A text to type before the button works. */
  typed?: string;
  busy: boolean;
  error: unknown;
  onConfirm: () => void;
  onClose: () => void;
}

export function Confirm({ title, children, action, typed, busy, error, onConfirm, onClose }: ConfirmProps) {
  const id = useId();
  const [text, setText] = useState('');
  const submit = (event: { preventDefault: () => void }) => {
    event.preventDefault();
    onConfirm();
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form className="stack" onSubmit={submit}>
        <h2>{title}</h2>
        <div>{children}</div>
        {typed !== undefined && (
          <div className="field">
            <label htmlFor={id}>
              Type <code>{typed}</code> to go on
            </label>
            <input id={id} value={text} autoComplete="off" onChange={(event) => setText(event.target.value)} />
          </div>
        )}
        {error != null && <ErrorNotice error={error} />}
        <div className="row end">
          <button type="button" className="button" onClick={onClose}>
            Keep it
          </button>
          <button type="submit" className="button danger" disabled={busy || (typed !== undefined && text !== typed)}>
            {action}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
