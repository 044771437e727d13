/** The size of a terminal, as it travels. */
import { Type } from 'typebox';

const side = (description: string, example: number) =>
  Type.Integer({ minimum: 0, maximum: 65_535, description, examples: [example] });

export const TerminalSizeFields = {
  width: side('Columns; 0: not known.', 80),
  height: side('Rows; 0: not known.', 24),
};

export const ResizeSchema = Type.Object(TerminalSizeFields, {
  additionalProperties: false,
  description: 'The size of a terminal, in characters.',
});
