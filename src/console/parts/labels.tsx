/** Labels of a machine. */
export function Labels({ labels }: { labels: Readonly<Record<string, string>> }) {
  return (
    <span className="row labels">
      {labelTexts(labels).map((text) => (
        <span key={text} className="label">
          {text}
        </span>
      ))}
    </span>
  );
}

/** Labels as typed: `role=web`, sorted by name. */
export function labelTexts(labels: Readonly<Record<string, string>> = {}): string[] {
  return Object.entries(labels)
    .map(([name, value]) => (value === '' ? name : `${name}=${value}`))
    .sort();
}
