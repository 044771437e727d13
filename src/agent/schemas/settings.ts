/** The agent's settings, as a schema of their texts.  `expected` describes a valid value; a message puts it after the setting's name. */
import { type Static, Type } from 'typebox';
import { MACHINE_NAME_PATTERN } from '../../core/machines/machine-name.ts';

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];
const oneOf = (values: readonly string[]) =>
  Type.String({
    pattern: `^(${values.join('|')})$`,
    expected: values.length === 2 ? `must be ${values.join(' or ')}` : `must be one of ${values.join(', ')}`,
  });

export const AgentSettingsSchema = Type.Object({
  url: Type.String({
    pattern: '^[hH][tT][tT][pP][sS]?:',
    expected: 'must be a URL such as https://execplane.example.com',
  }),
  machineId: Type.String({
    maxLength: 253,
    pattern: '^dm-[a-z0-9]([a-z0-9-]*[a-z0-9])?$',
    expected: 'must look like dm-web-1: lower case, digits, dashes',
  }),
  machineName: Type.String({
    pattern: MACHINE_NAME_PATTERN,
    expected: 'must look like web-1, and not begin with dm-',
  }),
  maxConcurrency: Type.String({
    pattern: '^([1-9][0-9]{0,3}|10000)$',
    expected: 'must be an integer from 1 to 10000',
  }),
  policy: oneOf(['required', 'optional']),
  insecure: Type.String({ pattern: '^(true|1|false|0)$', expected: 'must be true or false' }),
  logLevel: oneOf(LOG_LEVELS),
  logFormat: oneOf(['json', 'text']),
});
/** The settings whose texts a pattern can check; separate functions read the others (labels, files). */
export type CheckedSetting = keyof Static<typeof AgentSettingsSchema>;
