/** Labels of a machine. */
import { type Labels as LabelMap, parseLabels } from '../../core/machines/labels.ts';

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

/** Parses labels as people type them, with spaces or commas between. Undefined if one is not written as `key=value`. */
export function parseLabelTexts(text: string): LabelMap | undefined {
  return parseLabels(
    text
      .trim()
      .split(/[\s,]+/)
      .join(','),
  );
}

/** Labels as typed: `role=web`, sorted by name. */
export function labelTexts(labels: Readonly<Record<string, string>> = {}): string[] {
  return Object.entries(labels)
    .map(([name, value]) => (value === '' ? name : `${name}=${value}`))
    .sort();
}
