/**
 * Sign-in with an OpenID Connect provider: the authorization code flow with PKCE, state and nonce, by the library openid-client,
 * which is loaded at the first sign-in.
 */
import type { Configuration } from 'openid-client';
import { isLoopback } from '../../../node/network/loopback.ts';
import { readConfiguredSecret } from '../../../node/files/configured-file.ts';
import type { ServerConfig } from '../../config.ts';
import { type GroupScopes, readGroupScopes } from '../../group-scopes.ts';

/** Time limit for an answer of the provider, in seconds. */
const PROVIDER_TIMEOUT_S = 10;
const MAX_NAME_CHARS = 200;
/** The claims that name a user, best first: people know each other by the first two. */
const NAME_CLAIMS = ['preferred_username', 'email', 'sub'] as const;

/** The values with which a returning user is verified. */
export interface SignInAttempt {
  state: string;
  nonce: string;
  /** The secret of PKCE, which proves that the same browser returns. */
  verifier: string;
}

/** The signed-in user, according to the provider. */
export interface SignedInUser {
  name: string;
  groups: readonly string[];
}

export interface OpenIdConnect {
  /** The text of the sign-in button: the host of the provider. */
  providerName: string;
  groupScopes: GroupScopes;
  /** Returns the provider's page for the browser. Throws if the provider cannot be reached. */
  begin(redirectUri: string): Promise<{ url: URL; attempt: SignInAttempt }>;
  /** `callback`: the URL that the provider sent the browser to. Throws if it does not belong to this attempt. */
  finish(p: { callback: URL; attempt: SignInAttempt }): Promise<SignedInUser>;
}

type Claims = Readonly<Record<string, unknown>>;
type Settings = Pick<
  ServerConfig,
  'oidcIssuer' | 'oidcClientId' | 'oidcClientSecretFile' | 'oidcScopes' | 'oidcGroupsClaim'
>;

/** Creates the sign-in. `undefined` if no provider is configured. Throws ConfigError if the file with the secret cannot be read. */
export function createOpenIdConnect(settings: Settings): OpenIdConnect | undefined {
  const { oidcIssuer, oidcClientId, oidcScopes, oidcGroupsClaim } = settings;
  if (oidcIssuer === undefined || oidcClientId === undefined || oidcScopes === undefined) return undefined;
  const issuer = new URL(oidcIssuer);
  const secret = readSecret(settings.oidcClientSecretFile);
  const provider = rememberSuccess(() => discover(issuer, oidcClientId, secret));

  return {
    providerName: issuer.host,
    groupScopes: readGroupScopes(oidcScopes),
    async begin(redirectUri) {
      const client = await import('openid-client');
      const attempt: SignInAttempt = {
        state: client.randomState(),
        nonce: client.randomNonce(),
        verifier: client.randomPKCECodeVerifier(),
      };
      const url = client.buildAuthorizationUrl(await provider(), {
        redirect_uri: redirectUri,
        scope: 'openid profile email',
        code_challenge: await client.calculatePKCECodeChallenge(attempt.verifier),
        code_challenge_method: 'S256',
        state: attempt.state,
        nonce: attempt.nonce,
      });
      return { url, attempt };
    },
    async finish({ callback, attempt }) {
      const client = await import('openid-client');
      const configuration = await provider();
      const tokens = await client.authorizationCodeGrant(configuration, callback, {
        expectedState: attempt.state,
        expectedNonce: attempt.nonce,
        pkceCodeVerifier: attempt.verifier,
        idTokenExpected: true,
      });
      const inToken: Claims & { sub: string } = tokens.claims() ?? { sub: '' };
      const complete = Object.hasOwn(inToken, oidcGroupsClaim) && nameOf(inToken) !== inToken.sub;
      if (complete || configuration.serverMetadata().userinfo_endpoint === undefined) {
        return { name: nameOf(inToken), groups: groupsOf(inToken[oidcGroupsClaim]) };
      }
      // Some providers return name and groups only at this endpoint.
      const claims: Claims = {
        ...(await client.fetchUserInfo(configuration, tokens.access_token, inToken.sub)),
        ...inToken,
      };
      return { name: nameOf(claims), groups: groupsOf(claims[oidcGroupsClaim]) };
    },
  };
}

/** Fetches the provider's addresses and keys. Plain HTTP is allowed only for a provider on this machine. */
async function discover(issuer: URL, clientId: string, secret: string | undefined): Promise<Configuration> {
  const client = await import('openid-client');
  return client.discovery(issuer, clientId, secret, secret === undefined ? client.None() : undefined, {
    timeout: PROVIDER_TIMEOUT_S,
    ...(issuer.protocol === 'http:' && isLoopback(issuer.hostname) ? { execute: [client.allowInsecureRequests] } : {}),
  });
}

/** Calls `load` once, and again only after a failure. */
function rememberSuccess<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: Promise<T> | undefined;
  return () => {
    loaded ??= load().catch((error: unknown) => {
      loaded = undefined;
      throw error;
    });
    return loaded;
  };
}

function readSecret(path: string | undefined): string | undefined {
  return path === undefined ? undefined : readConfiguredSecret('EXECPLANE_OIDC_CLIENT_SECRET_FILE', path);
}

function nameOf(claims: Claims): string {
  const known = NAME_CLAIMS.filter((claim) => claim !== 'email' || claims['email_verified'] !== false);
  const named = known.map((claim) => claims[claim]).find((value) => typeof value === 'string' && value !== '');
  return String(named)
    .replace(/\p{Cc}/gu, '')
    .slice(0, MAX_NAME_CHARS);
}

/** Returns the groups of a claim, which is a list, or one group as a string. */
function groupsOf(claim: unknown): string[] {
  const list = Array.isArray(claim) ? claim : [claim];
  return list.filter((group): group is string => typeof group === 'string');
}
