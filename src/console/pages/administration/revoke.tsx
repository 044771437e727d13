/** Revoking a key or a token: the button in its row, and the confirmation. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import type { Shape } from '../../../client/http/shape.ts';
import { transport } from '../../data/client.ts';
import { Confirm } from '../../parts/confirm.tsx';

/** `name`: of the key or token in this row. */
export function RevokeCell({ name, onRevoke }: { name: string; onRevoke: () => void }) {
  return (
    <td className="col-action">
      <button type="button" className="button danger small" aria-label={`Revoke ${name}`} onClick={onRevoke}>
        Revoke
      </button>
    </td>
  );
}

interface RevokeProps {
  /** The list that it is in. */
  path: string;
  id: string;
  /** The answer to its DELETE. */
  answer: Shape<unknown>;
  title: string;
  onClose: () => void;
  /** The consequence of the revocation. */
  children: ReactNode;
}

/** Asks for confirmation, revokes, and refreshes the list. */
export function Revoke({ path, id, answer, title, onClose, children }: RevokeProps) {
  const queryClient = useQueryClient();
  const revoking = useMutation({
    mutationFn: () => transport.json('DELETE', `${path}/${id}`, answer),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: ['list', path] });
      onClose();
    },
  });
  return (
    <Confirm
      title={title}
      action="Revoke"
      busy={revoking.isPending}
      error={revoking.error}
      onConfirm={() => revoking.mutate()}
      onClose={onClose}
    >
      {children}
    </Confirm>
  );
}
