/** `include=reason`: why something is in its state. */
import { type Static, Type } from 'typebox';
import { Time } from './fields.ts';

export const ReasonSchema = Type.Object(
  {
    message: Type.String({
      description: 'Why it is in this state.',
      examples: ['queued: all 64 slots of the machine are busy; position 3'],
    }),
    since: Time('Since when.'),
    until: Type.Optional(Time('When that ends by itself, if nothing happens before.')),
    next: Type.Optional(
      Type.String({ description: 'What changes it.', examples: ['It starts when a command before it ends.'] }),
    ),
  },
  { description: 'Why it is in its state: text for people. Present with `include=reason`.' },
);
export type ReasonWire = Static<typeof ReasonSchema>;
