/** Names of machines, for people. Two machines that are not removed never have the same name. */

/** Names have the form of host names, and never that of an id: the text shows which of the two it is. */
export const MACHINE_NAME_PATTERN = '^(?!dm-)[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$';
