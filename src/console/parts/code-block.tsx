/** A text with a copy button. */
import { useState } from 'react';

/** Time for which the button shows that it has copied, in ms. */
const TOLD_MS = 1500;

export function CodeBlock({ text, label }: { text: string; label: string }) {
  return (
    <div className="code">
      <pre>{text}</pre>
      <CopyButton text={text} label={`Copy: ${label}`} />
    </div>
  );
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await copyText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), TOLD_MS);
  };
  return (
    <button type="button" className="button small" aria-label={label} onClick={() => void copy()}>
      {copied ? 'Copied' : 'Copy'}
    </button>
  );
}

/** Copies text. Pages loaded by plain HTTP have no clipboard API, so a selection is copied. */
async function copyText(text: string): Promise<void> {
  if (isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}
