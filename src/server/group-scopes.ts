/** The scopes of groups of the OpenID Connect provider (EXECPLANE_OIDC_SCOPES). */
import { SCOPES, type Scope } from '../api/fields.ts';
import { ConfigError } from '../node/config-error.ts';

/** The group that contains every user of the provider. */
const EVERYBODY = '*';

export type GroupScopes = ReadonlyMap<string, readonly Scope[]>;

/** Parses `GROUP=SCOPE,SCOPE;GROUP=SCOPE`. A group may contain any character but `;` and `=`. Throws ConfigError. */
export function readGroupScopes(setting: string): GroupScopes {
  const groups = new Map<string, readonly Scope[]>();
  for (const part of setting.split(';').filter((text) => text.trim() !== '')) {
    const [group = '', scopes, ...more] = part.split('=').map((text) => text.trim());
    if (group === '' || scopes === undefined || more.length > 0 || groups.has(group)) {
      throw new ConfigError(
        `EXECPLANE_OIDC_SCOPES: ${JSON.stringify(part)} must have the form GROUP=SCOPE,SCOPE, and name each group once`,
      );
    }
    groups.set(group, scopes.split(',').map(readScope));
  }
  if (groups.size === 0) throw new ConfigError('EXECPLANE_OIDC_SCOPES: must name a group, such as ops=admin');
  return groups;
}

/** Returns the scopes of a user in these groups, each once; none for a user without access. */
export function scopesOfGroups(groupScopes: GroupScopes, groups: readonly string[]): Scope[] {
  const scopes = [EVERYBODY, ...groups].flatMap((group) => groupScopes.get(group) ?? []);
  return SCOPES.filter((scope) => scopes.includes(scope));
}

function readScope(text: string): Scope {
  const scope = SCOPES.find((candidate) => candidate === text.trim());
  if (scope === undefined) {
    throw new ConfigError(
      `EXECPLANE_OIDC_SCOPES: ${JSON.stringify(text)} is not a scope: the scopes are ${SCOPES.join(', ')}`,
    );
  }
  return scope;
}
