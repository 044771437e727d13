import { InvalidArgumentError } from 'commander';

/** Adds `key=value` to the labels before it. Throws InvalidArgumentError, which commander prints. */
export function labelsWith(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Write it as key=value.');
  const key = text.slice(0, at);
  if (Object.hasOwn(before, key)) throw new InvalidArgumentError(`The label ${key} is given twice.`);
  return { ...before, [key]: text.slice(at + 1) };
}
