import { InvalidArgumentError } from 'commander';
import { parseDuration } from '../../api/quantity.ts';

/** The value of an option such as `30s`, in ms. Throws InvalidArgumentError, which commander prints. */
export function durationOption(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('Write it as 30s, 5m, 1h30m or 500ms.');
  return ms;
}
