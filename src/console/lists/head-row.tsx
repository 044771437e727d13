/** The first row of a table: a name for each column. */

/** `className` sets the width (`col-age`, …), and whether a phone leaves the column out (`optional`). */
export type Column = readonly [name: string, className?: string];

/** A column of buttons, whose name is only read out. */
export const ACTION_COLUMN: Column = ['Action', 'col-action'];

export function HeadRow({ columns }: { columns: readonly Column[] }) {
  return (
    <tr>
      {columns.map((column) => (
        <th key={column[0]} scope="col" className={column[1]}>
          {column === ACTION_COLUMN ? <span className="visually-hidden">{column[0]}</span> : column[0]}
        </th>
      ))}
    </tr>
  );
}
