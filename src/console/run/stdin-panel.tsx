/** Sends typed text to a command that was started with an open standard input. */
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { RefusedError } from '../../client/http/errors.ts';
import { transport } from '../data/client.ts';
import { Field } from '../parts/field.tsx';
import { ErrorNotice } from '../parts/notice.tsx';
import { STDIN_RESULT } from '../../client/http/shapes.ts';

export function StdinPanel({ path }: { path: string }) {
  const [text, setText] = useState('');
  const sending = useMutation({
    mutationFn: async ({ close }: { close: boolean }) => {
      const bytes = new TextEncoder().encode(close ? '' : `${text}\n`);
      await transport.json('POST', `${path}/stdin`, STDIN_RESULT, {
        bytes,
        query: { close: close || undefined },
        attempts: 1,
      });
    },
    onSuccess: () => setText(''),
  });
  const closed = sending.error instanceof RefusedError && sending.error.code === 'INVALID_STATE';
  return (
    <form
      className="panel body stack"
      onSubmit={(event) => {
        event.preventDefault();
        sending.mutate({ close: false });
      }}
    >
      <Field
        label="Standard input"
        wrong={
          closed
            ? 'Standard input is not open. A command gets typed text only if it was run with an open standard input.'
            : undefined
        }
      >
        {(id, describedBy) => (
          <div className="row variable">
            <input
              id={id}
              aria-describedby={describedBy}
              autoComplete="off"
              spellCheck={false}
              placeholder="A line"
              value={text}
              onChange={({ target }) => setText(target.value)}
            />
            <button type="submit" className="button" disabled={sending.isPending}>
              Send
            </button>
            <button
              type="button"
              className="button"
              disabled={sending.isPending}
              onClick={() => sending.mutate({ close: true })}
            >
              End of input
            </button>
          </div>
        )}
      </Field>
      {sending.error !== null && !closed && <ErrorNotice error={sending.error} />}
    </form>
  );
}
