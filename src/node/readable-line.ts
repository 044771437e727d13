/** Converts a line of the JSON log to one for people: `14:02:33 warning: agent: the message (key=value)`. */

type Fields = Readonly<Record<string, unknown>>;

const LEVELS: readonly [from: number, name: string][] = [
  [50, 'error'],
  [40, 'warning'],
  [30, 'info'],
];
/** C0 controls, which JSON escapes and text must not contain. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the expression looks for control characters
const CONTROLS = /[\u0000-\u001f]/g;

/** Returns the readable line, or the line itself if it is not JSON. */
export function readableLine(json: string): string {
  const fields = parse(json);
  if (fields === undefined) return json;
  const { level, time, name, msg, err, ...rest } = fields;
  const severity = LEVELS.find(([from]) => Number(level) >= from)?.[1] ?? 'debug';
  const prefix = typeof name === 'string' ? `${name}: ` : '';
  const causes = causesOf(err);
  const values = Object.entries(rest).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const more = values.length === 0 ? '' : ` (${values.join(', ')})`;
  const text = `${clock(time)} ${severity}: ${prefix}${[msg, ...causes].join(': ')}${more}`;
  return `${text.replace(CONTROLS, (control) => JSON.stringify(control).slice(1, -1))}\n`;
}

function parse(json: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}

/** The messages of an error and of its causes. */
function causesOf(error: unknown): unknown[] {
  const messages: unknown[] = [];
  for (
    let at = error as Fields | undefined;
    typeof at === 'object' && at !== null;
    at = at['cause'] as Fields | undefined
  ) {
    messages.push(at['message']);
  }
  return messages;
}

function clock(time: unknown): string {
  const date = new Date(typeof time === 'string' || typeof time === 'number' ? time : Number.NaN);
  return Number.isNaN(date.getTime()) ? '--:--:--' : date.toTimeString().slice(0, 8);
}
