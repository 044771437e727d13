import { expect, test } from 'vitest';
import { ConfigError } from '../../src/node/config-error.ts';
import { readGroupScopes, scopesOfGroups } from '../../src/server/group-scopes.ts';

test('groups get the scopes of the setting', () => {
  const scopes = readGroupScopes('ops=admin; a team=executions:write, machines:read;*=executions:read;');
  expect(scopesOfGroups(scopes, ['a team'])).toEqual(['executions:read', 'executions:write', 'machines:read']);
  expect(scopesOfGroups(scopes, ['ops', 'none'])).toEqual(['executions:read', 'admin']);
  expect(scopesOfGroups(readGroupScopes('ops=admin'), ['Ops'])).toEqual([]);
});

test.each(['', 'ops', '=admin', 'ops=root', 'ops=admin;ops=admin', 'ops=a=b', 'ops='])('%j is refused', (setting) => {
  expect(() => readGroupScopes(setting)).toThrow(ConfigError);
  expect(() => readGroupScopes(setting)).toThrow('EXECPLANE_OIDC_SCOPES');
});
