/** The command palette: goes to a page or starts an action by a part of its name. */
import { useQuery } from '@tanstack/react-query';
import { type KeyboardEvent, useState } from 'react';
import { useLocation } from 'wouter';
import { machinesQuery } from '../data/machines.ts';
import { useMay, useSignOut } from '../data/session.ts';
import { Dialog } from '../parts/dialog.tsx';
import { machineStatusText } from '../parts/status.tsx';
import { usePlaces } from './places.ts';

const MAX_SHOWN = 50;

interface Command {
  id: string;
  text: string;
  hint: string;
  act: () => void;
}

export function Palette({ onClose }: { onClose: () => void }) {
  const [typed, setTyped] = useState('');
  const [chosen, setChosen] = useState(0);
  const commands = useCommands();
  const words = typed.toLowerCase().split(/\s+/);
  const shown = commands
    .filter(({ text }) => words.every((word) => text.toLowerCase().includes(word)))
    .slice(0, MAX_SHOWN);
  const index = Math.min(chosen, shown.length - 1);
  const run = (command: Command | undefined) => {
    if (command === undefined) return;
    onClose();
    command.act();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setChosen(Math.min(index + 1, shown.length - 1));
    else if (event.key === 'ArrowUp') setChosen(Math.max(index - 1, 0));
    else if (event.key === 'Enter') run(shown[index]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title="Go to" onClose={onClose} className="palette">
      <input
        autoFocus
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={shown[index] === undefined ? undefined : `palette-${shown[index].id}`}
        aria-label="Go to"
        placeholder="A page, a machine or an action"
        autoComplete="off"
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value);
          setChosen(0);
        }}
        onKeyDown={onKeyDown}
      />
      <div id="palette-list" role="listbox" aria-label="Found" tabIndex={-1}>
        {shown.map((command, at) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field above has the keys
          <div
            key={command.id}
            id={`palette-${command.id}`}
            role="option"
            tabIndex={-1}
            aria-selected={at === index}
            ref={at === index ? (element) => element?.scrollIntoView({ block: 'nearest' }) : undefined}
            onClick={() => run(command)}
          >
            <span className="ellipsis">{command.text}</span>
            <span className="soft small nowrap">{command.hint}</span>
          </div>
        ))}
      </div>
      {shown.length === 0 && <p className="loading">No match.</p>}
    </Dialog>
  );
}

function useCommands(): Command[] {
  const [, navigate] = useLocation();
  const places = usePlaces();
  const mayRead = useMay('machines:read');
  const mayRun = useMay('executions:write');
  const isAdmin = useMay('admin');
  const signOut = useSignOut();
  const { data: machines = [] } = useQuery({ ...machinesQuery, enabled: mayRead });
  return [
    ...places.map(({ path, text }) => ({ id: text, text, hint: 'Page', act: () => navigate(path) })),
    ...(isAdmin ? [{ id: 'add', text: 'Add a machine', hint: 'Do', act: () => navigate('/machines/add') }] : []),
    ...machines.map((machine) => ({
      id: machine.machine_id,
      text: machine.machine_id,
      hint: machineStatusText(machine),
      act: () => navigate(`/machines/${machine.machine_id}`),
    })),
    ...(mayRun
      ? machines.map(({ machine_id: id }) => ({
          id: `run-${id}`,
          text: `Run on ${id}`,
          hint: 'Do',
          act: () => navigate(`/run?machine=${id}`),
        }))
      : []),
    { id: 'out', text: 'Sign out', hint: 'Do', act: () => void signOut() },
  ];
}
