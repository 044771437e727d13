/** A secret that the server shows only once. */
import { Dialog } from './dialog.tsx';
import { CodeBlock } from './code-block.tsx';

interface SecretProps {
  title: string;
  secret: string;
  onClose: () => void;
}

export function Secret({ title, secret, onClose }: SecretProps) {
  return (
    <Dialog title={title} onClose={onClose}>
      <div className="stack">
        <h2>{title}</h2>
        <p>Copy it now. The server stores only its hash and cannot show it again.</p>
        <CodeBlock text={secret} label={title} />
        <div className="row end">
          <button type="button" className="button primary" onClick={onClose}>
            I have it
          </button>
        </div>
      </div>
    </Dialog>
  );
}
