/** What members of a group of the OpenID Connect provider may do (EXECPLANE_OIDC_SCOPES). */
import { SCOPES, type Scope } from '../api/fields.ts';
import { ConfigError } from '../node/config-error.ts';

/** Stands for everybody whom the provider lets in. */
const EVERYBODY = '*';

export type GroupScopes = ReadonlyMap<string, readonly Scope[]>;

/** Reads `GROUP=SCOPE,SCOPE;GROUP=SCOPE`. A group may hold any character but `;` and `=`. Throws ConfigError. */
export function readGroupScopes(setting: string): GroupScopes {
  const groups = new Map<string, readonly Scope[]>();
  for (const part of setting.split(';').filter((text) => text.trim() !== '')) {
    const [group = '', scopes, ...more] = part.split('=').map((text) => text.trim());
    if (group === '' || scopes === undefined || more.length > 0 || groups.has(group)) {
      throw new ConfigError(
        `EXECPLANE_OIDC_SCOPES: ${JSON.stringify(part)} must be GROUP=SCOPE,SCOPE, each group once`,
      );
    }
    groups.set(group, scopes.split(',').map(readScope));
  }
  if (groups.size === 0) throw new ConfigError('EXECPLANE_OIDC_SCOPES: it names no group');
  return groups;
}

/** The scopes of a user in these groups, each once; empty for a user who may do nothing. */
export function scopesOfGroups(groupScopes: GroupScopes, groups: readonly string[]): Scope[] {
  const scopes = [EVERYBODY, ...groups].flatMap((group) => groupScopes.get(group) ?? []);
  return SCOPES.filter((scope) => scopes.includes(scope));
}

function readScope(text: string): Scope {
  const scope = SCOPES.find((known) => known === text.trim());
  if (scope === undefined) {
    throw new ConfigError(`EXECPLANE_OIDC_SCOPES: ${JSON.stringify(text)} is no scope; there are ${SCOPES.join(', ')}`);
  }
  return scope;
}
