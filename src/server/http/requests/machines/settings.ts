/** Converts a validated body to a request to the lifecycle, and checks the rules that a schema cannot express. */
import { parseAutosleep } from '../../../../core/machines/autosleep.ts';
import type { CreateMachine, UpdateMachine } from '../../../../api/machine.ts';
import type { MachineSettings } from '../../../../core/decisions/machine-change.ts';
import type { NewMachine } from '../../../../store/store.ts';
import type { Provider, Providers } from '../../../control/lifecycle/provider.ts';
import { type FieldError, invalid } from '../../replies/problem.ts';

const DEFAULT_SIZE = { vcpu: 1, memory_mib: 4096, storage_gib: 10 };

/** Converts the body of a create. Throws a 422 for an unknown provider, or for values that it does not accept. */
export function newMachineOf(body: CreateMachine, machineId: string, providers: Providers): NewMachine {
  const { attributes, provider: name = providers.defaultName } = body;
  const errors: FieldError[] = [];
  const provider = name === undefined ? undefined : providers.byName.get(name);
  if (name !== undefined && provider === undefined) {
    errors.push({ location: 'body.provider', message: 'is not a provider of this server', value: name });
  }
  errors.push(...attributeErrors(attributes, provider));
  const autosleepSeconds = readAutosleep(body.autosleep, errors) ?? provider?.autosleepSeconds ?? 0;
  if (errors.length > 0) throw invalid(errors);
  return {
    machineId,
    ...(body.name === undefined ? {} : { name: body.name }),
    facts: {
      vcpu: body.vcpu ?? DEFAULT_SIZE.vcpu,
      memory_mib: body.memory_mib ?? DEFAULT_SIZE.memory_mib,
      storage_gib: body.storage_gib ?? DEFAULT_SIZE.storage_gib,
    },
    autosleepSeconds,
    ...(name === undefined ? {} : { provider: name }),
    ...(attributes === undefined ? {} : { attributes }),
    ...(body.labels === undefined ? {} : { labels: body.labels }),
  };
}

/** Converts the body of a change. Throws a 422 for values that the machine's provider does not accept. */
export function settingsOf(body: UpdateMachine, provider: Provider | undefined): MachineSettings {
  const errors: FieldError[] = attributeErrors(body.attributes, provider);
  const autosleepSeconds = readAutosleep(body.autosleep, errors);
  if (errors.length > 0) throw invalid(errors);
  const { vcpu, memory_mib, storage_gib, attributes } = body;
  return {
    facts: {
      ...(vcpu === undefined ? {} : { vcpu }),
      ...(memory_mib === undefined ? {} : { memory_mib }),
      ...(storage_gib === undefined ? {} : { storage_gib }),
    },
    ...(autosleepSeconds === undefined ? {} : { autosleepSeconds }),
    ...(attributes === undefined ? {} : { attributes }),
    ...(body.name === undefined ? {} : { name: body.name }),
    ...(body.labels === undefined ? {} : { labels: body.labels }),
  };
}

function readAutosleep(text: string | undefined, errors: FieldError[]): number | undefined {
  if (text === undefined) return undefined;
  const seconds = parseAutosleep(text);
  if (seconds === undefined) {
    errors.push({ location: 'body.autosleep', message: 'must be at most 3650 days', value: text });
  }
  return seconds;
}

/** Refuses attributes that the operator has not listed: an attribute may become part of a command line. */
function attributeErrors(
  attributes: Readonly<Record<string, string>> = {},
  provider: Provider | undefined,
): FieldError[] {
  return Object.entries(attributes).flatMap(([name, value]) => {
    const location = `body.attributes.${name}`;
    const pattern = provider?.attributes.get(name);
    if (pattern === undefined) return [{ location, message: 'is not an attribute that the provider accepts' }];
    return pattern.test(value) ? [] : [{ location, message: `must match ${pattern.source}`, value }];
  });
}
