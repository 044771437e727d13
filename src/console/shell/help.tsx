/** Lists the keyboard shortcuts. */
import { Dialog } from '../parts/dialog.tsx';
import { usePlaces } from './places.ts';

const KEYS = [
  ['Ctrl K', 'Go to a page, a machine or an action'],
  ['/', 'Search on this page'],
  ['j', 'Next row'],
  ['k', 'Row before'],
  ['Enter', 'Open the row; in a search: next match'],
  ['?', 'This list'],
] as const;

export function Help({ onClose }: { onClose: () => void }) {
  const places = usePlaces();
  const keys = [...KEYS, ...places.map(({ key, text }) => [`g ${key}`, text] as const)];
  return (
    <Dialog title="Keys" onClose={onClose}>
      <div className="stack">
        <h2>Keys</h2>
        <dl className="keys">
          {keys.map(([key, text]) => (
            <div key={key} style={{ display: 'contents' }}>
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{text}</dd>
            </div>
          ))}
        </dl>
        <div className="row end">
          <button type="button" className="button" onClick={onClose}>
            Close
          </button>
        </div>
      </div>
    </Dialog>
  );
}
