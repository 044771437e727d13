/** Names of machines: what people call them. Of the machines that are not removed no two have the same one. */

/** As host names are, and never like an id: whoever reads one knows which of the two it is. */
export const MACHINE_NAME_PATTERN = '^(?!dm-)[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$';
const MACHINE_NAME = new RegExp(MACHINE_NAME_PATTERN);

export function isMachineName(text: string): boolean {
  return MACHINE_NAME.test(text);
}
